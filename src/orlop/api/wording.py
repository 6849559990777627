"""Docker's own words for what goes wrong, by which its clients and their users know it again.

The engine says a thing in its own words, which the command line shows. Where Docker has other words, or another HTTP
status, for the same thing, its API has those.
"""

from __future__ import annotations

import re

_NAME = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_REUSE = "You have to remove (or rename) that container to be able to reuse that name."
_UNDEFINED = "can't be used with links. This would result in undefined behavior"
#: What Docker begins with a capital.
_CAPITAL = re.compile(
    "no such |minimum memory |requested |range of |duplicate mount point|could not find the file |invalid value[: ]|"
    "container cannot be connected to "
)
#: What the engine says, and Docker.
_WORDS = (
    # Names and values.
    (r'invalid container name "(.*)": .*', rf"Invalid container name (\1), only {_NAME} are allowed"),
    (r"(invalid reference format: repository name) .* (must be lowercase)", r"\1 \2"),
    (
        r'invalid repository name "(.*)": .*',
        r"invalid repository name (\1), cannot specify 64-byte hexadecimal strings",
    ),
    (r'unknown signal "(.*)"', r"invalid signal: \1"),
    (r'unknown capability: "(?:CAP_)?(.*)"', r'unknown capability: "CAP_\1"'),
    (r'(.*): the target cannot be "/"', r"\1: invalid specification: destination can't be '/'"),
    (r'(.*): the target "(.*)" must be an absolute path', r"\1: invalid mount path: '\2' mount path must be absolute"),
    (r'(invalid mount config for type ".*"): the types are .*', r"\1: mount type unknown"),
    (r"(unknown or invalid runtime name: [^:]*).*", r"\1"),
    (r"unknown log driver '(.*)': .*", r'error looking up logging plugin \1: plugin "\1" not found'),
    (r"(unknown log opt '.*' for) the (\S+ log driver).*", r"\1 \2"),
    (r"invalid --change '.*': unknown instruction ([^:]*).*", r"\1 is not a valid change command"),
    (r'the working directory "(.*)" is invalid: it (.*)', r"the working directory '\1' is invalid, it \2"),
    (r"could not find the directory (.*)", r"Could not find the file \1"),
    (r".*embedded null (?:byte|character).*", "a name or a path cannot have a NUL in it"),
    # Limits.
    (r"minimum memory-swap limit (.*)", r"Minimum memoryswap limit \1, see usage"),
    (r"minimum (memory limit can not be less .*)", r"Minimum \1, see usage"),
    (r"you should always set .*", "You should always set the Memory limit when using Memoryswap limit, see usage"),
    (r"conflicting options: nano CPUs and CPU p(.*)", r"Conflicting options: Nano CPUs and CPU P\1"),
    (r"conflicting options: nano CPUs and CPU q(.*)", r"Conflicting options: Nano CPUs and CPU Q\1"),
    (r"invalid value for cpuset CPUs: '(.*)' is no .*", r"Invalid value \1 for cpuset cpus"),
    # Builds.
    (
        r'process "(.*)" did not complete successfully: exit code: (\d+)',
        r"The command '\1' returned a non-zero code: \2",
    ),
    (
        r".*:(\d+): unknown instruction ([^:]*).*",
        r"dockerfile parse error on line \1: unknown instruction: \2",
    ),
    (r"cannot read the Dockerfile (.*): no such file or directory", r"Cannot locate specified Dockerfile: \1"),
    # Networks.
    (r"invalid network mode: container:", "invalid network mode: invalid container format container:<name|id>"),
    (
        r"conflicting options: links and the network mode container:.*",
        f"conflicting options: container type network {_UNDEFINED}",
    ),
    (
        r"conflicting options: links and the network mode host",
        f"conflicting options: host type networking {_UNDEFINED}",
    ),
    (r"(invalid pool request): pool \S+ (overlaps with other one on this address space).*", r"\1: Pool \2"),
    (r"networks of a swarm are not there.*", "cannot create a swarm scoped network when swarm is not active"),
    (r'(error looking up .* plugin .*: plugin "[^"]*" not found).*', r"\1"),
    # What is in use.
    (
        r"the container name (\S+) is already in use by container (\S+); .*",
        rf"Conflict. The container name \1 is already in use by container \2. {_REUSE}",
    ),
    (r"renaming a container with the same name .*", "Renaming a container with the same name as its current name"),
    (
        r"cannot remove image (?:sha256:)?([^:]*): the running container (\S+) uses it.*",
        r"conflict: unable to delete \1 (cannot be forced) - image is being used by running container \2",
    ),
    (
        r"cannot remove image (?:sha256:)?([^:]*): it is referenced by several names .*",
        r"conflict: unable to delete \1 (must be forced) - image is referenced in multiple repositories",
    ),
)
#: The status of what Docker says, where it is another one than the error's own.
_STATUS = (
    (r"operation is not permitted on predefined .* network", 403),
    (r".* is a pre-defined network and cannot be removed", 403),
    (r"invalid pool request: Pool overlaps .*", 403),
    (r"error while removing network: .* has active endpoints .*", 403),
    (r"cannot create a swarm scoped network .*", 403),
    (r'error looking up (?:volume|network|IPAM) plugin .*: plugin ".*" not found', 404),
    (r"cannot join \w+ of a non running container.*", 409),
    (r"chdir to cwd .*", 400),
    (r"Cannot locate specified Dockerfile: .*", 400),
    (r"a name or a path cannot have a NUL in it", 400),
)
_words = tuple((re.compile(said, re.DOTALL), docker) for said, docker in _WORDS)
_status = tuple((re.compile(said, re.DOTALL), status) for said, status in _STATUS)


def of_docker(text: str) -> str:
    """What Docker says for what the engine says."""
    for said, docker in _words:
        if found := said.fullmatch(text):
            return found.expand(docker)
    return text[0].upper() + text[1:] if _CAPITAL.match(text) else text


def status(text: str) -> int:
    """The HTTP status that Docker has for what `of_docker` told; 0 where it is the error's own."""
    return next((status for said, status in _status if said.fullmatch(text)), 0)
