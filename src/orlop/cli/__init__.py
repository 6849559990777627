"""The command line: words in, words out. Each command is a few lines over the engine.

`main` finds the command's module by its name; a module has a ``PARSER`` and ``run(location, said) -> int``. A command
in a group (``orlop image prune``) either is one of those by another name, or has a module of its own, named for both
words. A module with ``IN_NAMESPACE`` set handles files of an image, so that an ordinary user's runs as root of a user
namespace of theirs; what it does outside is its ``before_namespace(location)``.
"""

from __future__ import annotations

import sys

from orlop.errors import InvalidArgument, OrlopError, told
from orlop.options import Option, Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from orlop.options import Parsed

COMMANDS = (
    ("run", "Create and run a new container"),
    ("create", "Create a new container"),
    ("exec", "Execute a command in a running container"),
    ("ps", "List containers"),
    ("logs", "Fetch the logs of a container"),
    ("attach", "Attach local standard input, output, and error streams to a running container"),
    ("wait", "Block until one or more containers stop, then print their exit codes"),
    ("start", "Start one or more stopped containers"),
    ("stop", "Stop one or more running containers"),
    ("restart", "Restart one or more containers"),
    ("kill", "Kill one or more running containers"),
    ("pause", "Pause all processes within one or more containers"),
    ("unpause", "Unpause all processes within one or more containers"),
    ("rename", "Rename a container"),
    ("update", "Update configuration of one or more containers"),
    ("rm", "Remove one or more containers"),
    ("cp", "Copy files/folders between a container and the local filesystem"),
    ("diff", "Inspect changes to files or directories on a container's filesystem"),
    ("top", "Display the running processes of a container"),
    ("stats", "Display a live stream of container(s) resource usage statistics"),
    ("port", "List port mappings or a specific mapping for the container"),
    ("events", "Get real time events from the engine"),
    ("restore", "Have a container's files be as a snapshot has them"),
    ("fork", "Create a container with the settings and files of another one"),
    ("explain", "Say what isolates a container, and what weakens that"),
    ("build", "Build an image from a Dockerfile"),
    ("commit", "Create a new image from a container's changes"),
    ("export", "Export a container's filesystem as a tar archive"),
    ("pull", "Download an image from a registry"),
    ("push", "Upload an image to a registry"),
    ("images", "List images"),
    ("tag", "Create a tag that refers to an image"),
    ("rmi", "Remove one or more images"),
    ("history", "Show the history of an image"),
    ("save", "Save one or more images to an archive"),
    ("load", "Load images from an archive"),
    ("import", "Create an image from a file system's archive"),
    ("search", "Search a registry for images"),
    ("login", "Authenticate to a registry"),
    ("logout", "Log out from a registry"),
    ("inspect", "Return low-level information on containers, images, volumes and networks"),
    ("serve", "Serve Docker's Engine API, for the docker command and every other client of it"),
    ("info", "Display system-wide information"),
    ("completion", "Print a script that completes command lines, for bash, zsh or fish"),
    ("version", "Show the orlop version"),
)

#: Commands for programs.
_HIDDEN = ("__complete",)

#: Groups of commands: for each command in it, the module and what it does.
GROUPS: Mapping[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "container": (
        "Manage containers",
        (
            ("attach", "attach", "Attach local standard input, output, and error streams to a running container"),
            ("commit", "commit", "Create a new image from a container's changes"),
            ("cp", "cp", "Copy files/folders between a container and the local filesystem"),
            ("create", "create", "Create a new container"),
            ("diff", "diff", "Inspect changes to files or directories on a container's filesystem"),
            ("exec", "exec", "Execute a command in a running container"),
            ("exists", "container_exists", "Say by the exit status whether there is such a container"),
            ("export", "export", "Export a container's filesystem as a tar archive"),
            ("inspect", "container_inspect", "Display detailed information on containers"),
            ("kill", "kill", "Kill one or more running containers"),
            ("logs", "logs", "Fetch the logs of a container"),
            ("ls", "ps", "List containers"),
            ("pause", "pause", "Pause all processes within one or more containers"),
            ("port", "port", "List port mappings or a specific mapping for the container"),
            ("prune", "container_prune", "Remove all stopped containers"),
            ("rename", "rename", "Rename a container"),
            ("restart", "restart", "Restart one or more containers"),
            ("rm", "rm", "Remove one or more containers"),
            ("run", "run", "Create and run a new container"),
            ("start", "start", "Start one or more stopped containers"),
            ("stats", "stats", "Display a live stream of container(s) resource usage statistics"),
            ("stop", "stop", "Stop one or more running containers"),
            ("top", "top", "Display the running processes of a container"),
            ("unpause", "unpause", "Unpause all processes within one or more containers"),
            ("update", "update", "Update configuration of one or more containers"),
            ("wait", "wait", "Block until one or more containers stop, then print their exit codes"),
        ),
    ),
    "image": (
        "Manage images",
        (
            ("bootstrap", "image_bootstrap", "Make a base image from a distribution's packages"),
            ("build", "build", "Build an image from a Dockerfile"),
            ("exists", "image_exists", "Say by the exit status whether there is such an image"),
            ("history", "history", "Show the history of an image"),
            ("import", "import_image", "Create an image from a file system's archive"),
            ("inspect", "image_inspect", "Display detailed information on images"),
            ("load", "load", "Load images from an archive"),
            ("ls", "images", "List images"),
            ("prune", "image_prune", "Remove unused images"),
            ("pull", "pull", "Download an image from a registry"),
            ("push", "push", "Upload an image to a registry"),
            ("rm", "rmi", "Remove one or more images"),
            ("save", "save", "Save one or more images to an archive"),
            ("tag", "tag", "Create a tag that refers to an image"),
        ),
    ),
    "network": (
        "Manage networks",
        (
            ("connect", "network_connect", "Connect a container to a network"),
            ("create", "network_create", "Create a network"),
            ("disconnect", "network_disconnect", "Disconnect a container from a network"),
            ("exists", "network_exists", "Say by the exit status whether there is such a network"),
            ("inspect", "network_inspect", "Display detailed information on one or more networks"),
            ("ls", "network_ls", "List networks"),
            ("prune", "network_prune", "Remove all unused networks"),
            ("reload", "network_reload", "Put back what of the networks somebody has removed"),
            ("rm", "network_rm", "Remove one or more networks"),
        ),
    ),
    "builder": (
        "Manage builds",
        (
            ("build", "build", "Build an image from a Dockerfile"),
            ("du", "builder_du", "Show what the build cache takes on the disk"),
            ("prune", "builder_prune", "Remove build cache"),
        ),
    ),
    "buildx": (
        "Manage builds ('orlop builder' by its other name)",
        (
            ("build", "build", "Build an image from a Dockerfile"),
            ("du", "builder_du", "Show what the build cache takes on the disk"),
            ("prune", "builder_prune", "Remove build cache"),
            ("version", "buildx_version", "Show the version of what builds"),
        ),
    ),
    "context": (
        "Manage contexts, of which there is one: this machine",
        (
            ("inspect", "context_inspect", "Display detailed information on contexts"),
            ("ls", "context_ls", "List contexts"),
            ("show", "context_show", "Print the name of the current context"),
            ("use", "context_use", "Set the current context"),
        ),
    ),
    "manifest": (
        "Manage image manifests in registries",
        (("inspect", "manifest_inspect", "Display the manifest that a registry has of an image"),),
    ),
    "snapshot": (
        "Manage snapshots of containers' files ('orlop snapshot CONTAINER' makes one)",
        (
            ("create", "snapshot_create", "Save a container's files"),
            ("ls", "snapshot_ls", "List the snapshots of a container"),
            ("rm", "snapshot_rm", "Remove snapshots of a container"),
        ),
    ),
    "volume": (
        "Manage volumes",
        (
            ("create", "volume_create", "Create a volume"),
            ("exists", "volume_exists", "Say by the exit status whether there is such a volume"),
            ("inspect", "volume_inspect", "Display detailed information on one or more volumes"),
            ("ls", "volume_ls", "List volumes"),
            ("prune", "volume_prune", "Remove unused local volumes"),
            ("rm", "volume_rm", "Remove one or more volumes"),
        ),
    ),
    "system": (
        "Manage orlop's state on this machine",
        (
            ("check", "system_check", "Verify every blob and snapshot, and repair what is damaged"),
            ("df", "system_df", "Show disk usage"),
            ("dial-stdio", "system_dial_stdio", "Connect standard input and output with what 'orlop serve' serves"),
            ("events", "events", "Get real time events from the engine"),
            ("info", "info", "Display system-wide information"),
            ("prune", "system_prune", "Remove unused data"),
        ),
    ),
}

#: Commands whose module has another name, since theirs can be none.
MODULES = {"import": "import_image", "__complete": "complete"}

#: The command of a group that is meant where none is named.
MEANT = {"snapshot": "create"}

#: Other words for the commands of a group that people are used to.
_SYNONYMS = {
    ("container", "list"): "ls",
    ("container", "ps"): "ls",
    ("container", "remove"): "rm",
    ("context", "list"): "ls",
    ("image", "list"): "ls",
    ("image", "remove"): "rm",
    ("network", "list"): "ls",
    ("network", "remove"): "rm",
    ("snapshot", "list"): "ls",
    ("snapshot", "remove"): "rm",
    ("volume", "list"): "ls",
    ("volume", "remove"): "rm",
}

#: What Docker has and orlop has not, and why.
_ABSENT = {
    **dict.fromkeys(
        ("config", "node", "secret", "service", "stack", "swarm"), "orlop is no orchestrator and has no swarm"
    ),
    "checkpoint": "running containers cannot be saved yet; 'orlop snapshot' saves their files",
    "compose": "'docker compose' can be given orlop for its engine, by 'orlop serve'",
    "plugin": "orlop has no plugins",
    "trust": "signatures of Docker Content Trust are not looked at",
}

#: Where Docker's daemon would be: a script that names it means this machine.
_HERE = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")

PARSER = Parser(
    "orlop",
    "COMMAND [ARG...]",
    "A container platform without a daemon",
    (
        Option("--config", "Directory of config.json, where credentials are (DOCKER_CONFIG)", value="dir"),
        Option("-c, --context", "As for Docker; there is only 'default'", value="string", hidden=True),
        Option("-D, --debug", "As for Docker; without effect", hidden=True),
        Option("-H, --host", "As for Docker; there is only this machine", value="host", many=True, hidden=True),
        Option(
            "-l, --log-level",
            "As for Docker; without effect",
            value="level",
            read=one_of("debug", "info", "warn", "error", "fatal"),
            hidden=True,
        ),
        Option("--root", "Directory of state that survives a reboot (ORLOP_ROOT)", value="dir"),
        Option("--run-root", "Directory of state that does not (ORLOP_RUN_ROOT)", value="dir"),
        Option("-v, --version", "Print version information and quit"),
    ),
    intermixed=False,
    sections=(
        ("Management commands", tuple((name, about) for name, (about, _) in GROUPS.items())),
        ("Commands", COMMANDS),
    ),
)


def main(arguments: Sequence[str], *, before: Callable[[Parsed], None] | None = None) -> int:
    """Run one command line, the program's name not included; returns the exit status.

    ``before`` is called with what the command was told before it does anything.
    """
    try:
        return _main(arguments, before)
    except OrlopError as error:
        _complain(told(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough; what is still buffered must not be tried again at exit.
        import os

        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        return 141
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))
        return 125 if arguments[:1] == ["run"] else 1


def _main(arguments: Sequence[str], before: Callable[[Parsed], None] | None) -> int:
    said = PARSER.parse(arguments)
    if said.wants_help or not (said.arguments or said["version"]):
        sys.stdout.write(PARSER.help())
        return 0
    if said["version"]:
        import orlop

        sys.stdout.write(f"orlop version {orlop.__version__}\n")
        return 0
    words = said.arguments
    if words[0] == "help":
        words = [*words[1:], "--help"]
    if words[0].startswith("-"):
        sys.stdout.write(PARSER.help())
        return 0
    name, *words = words
    if name in GROUPS:
        group = _group_parser(name)
        if not words or words[0].startswith("-"):
            group.parse(words)
            sys.stdout.write(group.help())
            return 0
        if name in MEANT and not is_in_group(name, words[0]):
            words = [MEANT[name], *words]
        module = module_in_group(name, words[0])
        words = words[1:]
    else:
        module = command_module(name)
    command = module.PARSER.parse(words)
    if command.wants_help:
        sys.stdout.write(module.PARSER.help())
        return 0
    _heed_docker_s(said)
    if before is not None:
        before(command)
    from orlop.engine.location import locate

    location = locate(said["root"], said["run-root"])
    if location.rootless and getattr(module, "IN_NAMESPACE", False):
        from orlop.engine import own_namespace

        if hasattr(module, "before_namespace"):
            module.before_namespace(location)
        own_namespace.enter()
    status: int = module.run(location, command)
    return status


def _heed_docker_s(said: Parsed) -> None:
    """Take the options that say where Docker's client finds its daemon and its files.

    Raises:
        InvalidArgument: they mean another machine.
    """
    if said["config"] is not None:
        import os

        os.environ["DOCKER_CONFIG"] = said["config"]
    if said["context"] not in (None, "", "default"):
        raise InvalidArgument(f'context "{said["context"]}" not found: there is only "default", which is this machine')
    for host in said["host"]:
        if host not in _HERE:
            raise InvalidArgument(f"orlop works on this machine and connects to no daemon at {host}: leave --host out")


def command_module(name: str) -> ModuleType:
    """The module of a command.

    Raises:
        InvalidArgument: there is no such command.
    """
    if not any(name == known for known, _ in COMMANDS) and name not in _HIDDEN:
        if name in _ABSENT:
            raise InvalidArgument(f"there is no 'orlop {name}': {_ABSENT[name]}")
        raise _unknown(name, "orlop", [*(known for known, _ in COMMANDS), *GROUPS], "an orlop command")
    return _load(MODULES.get(name, name))


def module_in_group(group: str, name: str) -> ModuleType:
    """The module of a command in a group.

    Raises:
        InvalidArgument: there is no such command.
    """
    name = _SYNONYMS.get((group, name), name)
    for known, module, _ in GROUPS[group][1]:
        if name == known:
            return _load(module)
    known_names = [known for known, _, _ in GROUPS[group][1]]
    raise _unknown(name, f"orlop {group}", known_names, f"a command of 'orlop {group}'")


def _unknown(name: str, program: str, known: Sequence[str], what: str) -> InvalidArgument:
    import difflib  # only a mistake pays for it

    near = difflib.get_close_matches(name, known, 1)
    hint = f" (did you mean '{program} {near[0]}'?)" if near else ""
    return InvalidArgument(f"'{name}' is not {what}{hint}; see '{program} --help'")


def is_in_group(group: str, name: str) -> bool:
    """Whether a group has a command of that name."""
    return (group, name) in _SYNONYMS or any(name == known for known, _, _ in GROUPS[group][1])


def _group_parser(name: str) -> Parser:
    about, commands = GROUPS[name]
    rows = tuple((command, meaning) for command, _, meaning in commands)
    return Parser(f"orlop {name}", "COMMAND", about, intermixed=False, sections=(("Commands", rows),))


def _load(name: str) -> ModuleType:
    full = f"orlop.cli.{name}"
    __import__(full)
    return sys.modules[full]


def _complain(text: str) -> None:
    sys.stderr.write(f"orlop: {text}\n")
