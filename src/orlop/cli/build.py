"""``orlop build``."""

from __future__ import annotations

import os
import stat
import sys

from orlop.errors import InvalidArgument, InvalidDockerfile, NotFound
from orlop.options import Option, Parser, integer, limit, natural, one_of, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any

    from orlop.build.attested import Attested
    from orlop.build.progress import Progress
    from orlop.build.scheduler import BuildFailed
    from orlop.cli.build_progress import Remembering
    from orlop.engine.building.build import Built
    from orlop.engine.building.request import BuildRequest, Output
    from orlop.engine.location import Location
    from orlop.options import Parsed

_PROGRESSES = ("auto", "plain", "tty", "rawjson", "quiet", "none")

#: What annotations are for.
_ANNOTATED = ("manifest", "index", "manifest-descriptor")

#: Limits of each step: the option, what it says, the word for its value, what reads that, and the setting.
_LIMITS = (
    ("--cgroup-parent", "Parent cgroup of the steps", "string", str, "cgroup_parent"),
    ("-c, --cpu-shares", "CPU shares (relative weight)", "int", natural, "cpu_shares"),
    ("--cpu-period", "Limit the CPU CFS (Completely Fair Scheduler) period", "int", natural, "cpu_period"),
    ("--cpu-quota", "Limit the CPU CFS (Completely Fair Scheduler) quota", "int", integer, "cpu_quota"),
    ("--cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)", "string", str, "cpuset_cpus"),
    ("--cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)", "string", str, "cpuset_mems"),
    ("-m, --memory", "Memory limit of each step", "bytes", size, "memory"),
    (
        "--memory-swap",
        "Swap limit equal to memory plus swap: -1 to enable unlimited swap",
        "bytes",
        limit,
        "memory_swap",
    ),
    ("--shm-size", "Shared memory size of each step", "bytes", size, "shm_size"),
)

PARSER = Parser(
    "orlop build",
    "PATH | URL | -",
    "Build an image from a Dockerfile",
    (
        Option("--add-host", 'Add a custom host-to-IP mapping (format: "host:ip")', value="strings", many=True),
        Option(
            "--allow",
            'Allow extra privileged entitlement (e.g., "network.host", "security.insecure", "device")',
            value="strings",
            many=True,
        ),
        Option("--annotation", "Add annotation to the image", value="list", many=True),
        Option("--attest", 'Attestation parameters (format: "type=provenance,mode=max")', value="list", many=True),
        Option("--build-arg", "Set build-time variables", value="list", many=True),
        Option("--build-context", 'Additional build contexts (e.g., "name=path")', value="list", many=True),
        Option(
            "--call", 'Set method for evaluating build ("check", "outline", "targets")', value="string", default="build"
        ),
        Option(
            "--cache-from",
            'External cache sources (e.g., "user/app:cache", "type=local,src=DIR")',
            value="list",
            many=True,
        ),
        Option(
            "--cache-to",
            'Cache export destinations (e.g., "user/app:cache", "type=local,dest=DIR")',
            value="list",
            many=True,
        ),
        Option("--check", 'Shorthand for "--call=check"'),
        Option("-f, --file", "Name of the Dockerfile (default: PATH/Dockerfile)", value="string", default=""),
        Option("--iidfile", "Write the image ID to a file", value="string", default=""),
        Option("--label", "Set metadata for an image", value="list", many=True),
        Option("--metadata-file", "Write build result metadata to a file", value="string", default=""),
        Option("--network", "Set the networking mode of RUN instructions", value="string", default="default"),
        Option("--no-cache", "Do not use cache when building the image"),
        Option("--no-cache-filter", "Do not cache specified stages", value="strings", many=True),
        Option("-o, --output", 'Output destination (format: "type=local,dest=path")', value="strings", many=True),
        Option("--platform", "Set target platforms for build, separated by commas", value="string", default=""),
        Option(
            "--progress",
            "Set type of progress output",
            value="string",
            read=one_of(*_PROGRESSES),
            default="auto",
        ),
        Option("--provenance", 'Shorthand for "--attest=type=provenance"', value="string", default=""),
        Option("--pull", "Always attempt to pull all referenced images"),
        Option("-q, --quiet", "Suppress the build output and print image ID on success"),
        Option("--sbom", 'Shorthand for "--attest=type=sbom"', value="string", default=""),
        Option(
            "--secret",
            'Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")',
            value="strings",
            many=True,
        ),
        Option("--squash", "Squash newly built layers into a single new layer"),
        Option(
            "--ssh",
            'SSH agent socket or keys to expose to the build (format: "default|<id>[=<socket>|<key>[,<key>]]")',
            value="strings",
            many=True,
        ),
        Option("-t, --tag", 'Name and optionally a tag (format: "name:tag")', value="list", many=True),
        Option("--target", "Set the target build stage to build", value="string", default=""),
        Option("--ulimit", "Ulimit options of each step", value="ulimit", many=True),
        *(Option(name, about, value=value, read=reader) for name, about, value, reader, _ in _LIMITS),
        Option("--push", "Push the image to its registry afterwards"),
        Option("--load", "Put the image into the store, which is done anyway", hidden=True),
        Option("-D, --debug", "Enable debug logging, of which there is none", hidden=True),
        Option("--builder", "There is one builder", value="string", hidden=True, default=""),
        Option("--disable-content-trust", "Signatures are not verified", default=True, hidden=True),
        Option(
            "--isolation",
            "Container isolation technology",
            value="string",
            hidden=True,
            read=one_of("", "default"),
            default="",
        ),
        Option("--rm", "Remove intermediate containers, of which none are left", default=True, hidden=True),
        Option("--force-rm", "The same", hidden=True),
        Option("--compress", "Compress the build context, which is not sent anywhere", hidden=True),
        Option(
            "--parallel", "Steps that may be done at the same time", value="n", read=natural, default=0, hidden=True
        ),
    ),
    at_least=1,
    at_most=1,
)

IN_NAMESPACE = True


def before_namespace(location: Location) -> None:
    """Leave a builder behind for the next build, while that is possible."""
    from orlop.engine import warm_builder

    location.prepare()
    warm_builder.leave_behind(location)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.build.scheduler import BuildFailed
    from orlop.engine import warm_builder
    from orlop.engine.building import build

    request = read(said)
    if said["check"] or said["call"] != "build":
        from orlop.cli import build_call

        return build_call.run(location, request, "check" if said["check"] else said["call"])
    shown, remembering = _progress(said)
    try:
        with shown:
            built = build.build(location, request, remembering)
    except InvalidDockerfile as error:
        sys.stderr.write(f"{error.excerpt}\n")
        raise
    except BuildFailed as error:
        _tell_failure(request, error, remembering)
        raise
    warn(built, quiet=said["quiet"])
    if said["push"] or any(each.push for each in request.outputs):
        _push(location, said, built)
    _tell(location, said, request, built)
    warm_builder.leave_behind(location)
    return 0


def _push(location: Location, said: Parsed, built: Built) -> None:
    from orlop.cli import progress
    from orlop.engine import image_transfer

    if not built.names:
        raise InvalidArgument("an image that is pushed needs a name to be pushed to: add --tag")
    with progress.choose(sys.stderr, "quiet" if said["quiet"] else "plain") as shown:
        for name in built.names:
            image_transfer.push(location, name, shown)


def read(said: Parsed) -> BuildRequest:
    """What the user asks for.

    Raises:
        InvalidArgument: an option's value cannot be right.
        NotFound: a secret's file is not there.
    """
    from orlop.build import attested, cache_places
    from orlop.engine.building import entitlements
    from orlop.engine.building.request import BuildRequest
    from orlop.images import platform

    arguments = dict(_arguments(said["build-arg"]))
    epoch = arguments.get("SOURCE_DATE_EPOCH", os.environ.get("SOURCE_DATE_EPOCH", ""))
    if epoch and not (epoch.isascii() and epoch.isdigit() and len(epoch) < 12):
        raise InvalidArgument(f"invalid SOURCE_DATE_EPOCH '{epoch}': expected seconds since 1970")
    platforms = list(
        dict.fromkeys(
            platform.host() if each in ("", "local") else platform.parse(each) for each in said["platform"].split(",")
        )
    )
    agents = list(map(_agent, said["ssh"]))
    outputs = [_output(each) for each in said["output"]]
    wanted = attested.read(said["attest"], said["provenance"], said["sbom"])
    annotations = _annotations(said["annotation"], has_index=wanted.is_wanted or len(platforms) > 1)
    return BuildRequest(
        context=said.arguments[0],
        dockerfile=said["file"],
        tags=[*said["tag"], *(name for each in outputs for name in each.names)],
        target=said["target"],
        arguments=arguments,
        contexts=dict(_pairs(said["build-context"], "--build-context")),
        platform=platforms[0],
        platforms=platforms if len(platforms) > 1 else (),
        labels=dict(_pairs(said["label"], "--label", empty=True)),
        annotations=annotations["manifest"],
        platform_annotations={name.strip("[]"): each for name, each in annotations.items() if name[0] == "["},
        index_annotations=annotations["index"],
        entry_annotations=annotations["manifest-descriptor"],
        attested=wanted,
        described=_described(wanted) if said["metadata-file"] else attested.Attested(),
        no_cache=said["no-cache"],
        no_cache_filter=[name for each in said["no-cache-filter"] for name in each.split(",")],
        pull=said["pull"],
        secrets=dict(map(_secret, said["secret"])),
        agents={name: each for name, each in agents if isinstance(each, str)},
        keys={name: each for name, each in agents if not isinstance(each, str)},
        network=said["network"],
        wishes=_wishes(said, arguments),
        allowed=entitlements.read(said["allow"]),
        epoch=int(epoch) if epoch else None,
        squash=said["squash"],
        outputs=outputs,
        parallel=said["parallel"],
        cache_from=[cache_places.read_source(each) for each in said["cache-from"]],
        cache_to=[cache_places.read_target(each) for each in said["cache-to"]]
        + (
            [cache_places.Place(cache_places.INLINE)] if arguments.get("BUILDKIT_INLINE_CACHE") in ("1", "true") else []
        ),
    )


def _annotations(texts: Iterable[str], *, has_index: bool) -> dict[str, dict[str, str]]:
    """``[KIND[,KIND]:]NAME=value``, where a kind may have a platform in brackets; what there is for each kind, and each such platform's manifest."""
    from orlop.images import platform

    made: dict[str, dict[str, str]] = {kind: {} for kind in _ANNOTATED}
    for text in texts:
        name, equals, value = text.partition("=")
        kinds, colon, key = name.partition(":")
        pieces = [each.partition("[") for each in kinds.split(",")] if colon else []
        chosen = [(kind.strip(), only.rstrip("] ")) for kind, _, only in pieces]
        if not colon or not {kind for kind, _ in chosen} <= {*_ANNOTATED, "index-descriptor"}:
            chosen, key = [("manifest", "")], name
        if not key or not equals:
            raise InvalidArgument(
                f"invalid --annotation '{text}': expected name=value, perhaps with manifest: or index: before it"
            )
        for kind, only in chosen:
            if kind == "index-descriptor" or (kind != "manifest" and not has_index):
                raise InvalidArgument(
                    f"invalid --annotation '{text}': an image of one platform has no index to annotate"
                    + ("" if has_index else ", unless it has attestations: add --provenance=true")
                )
            if kind == "manifest" and only:
                made.setdefault(f"[{platform.parse(only)}]", {})[key] = value
            else:
                made[kind][key] = value
    return made


def _described(wanted: Attested) -> Attested:
    """What ``--metadata-file`` tells of how the image came to be: what is attached to it, or else as much as the user wants."""
    mode = os.environ.get("BUILDX_METADATA_PROVENANCE", "min")
    if wanted.provenance or mode not in ("min", "max"):
        return wanted
    return wanted.replace(provenance=mode, sbom=False)


def _arguments(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """``NAME=value``, or a name alone for the environment's value."""
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise InvalidArgument(f"invalid --build-arg '{text}': expected NAME=value")
        if equals:
            yield name, value
        elif name in os.environ:
            yield name, os.environ[name]


def _pairs(texts: Iterable[str], option: str, *, empty: bool = False) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not (equals or empty):
            raise InvalidArgument(f"invalid {option} '{text}': expected name=value")
        yield name, value


def _fields(text: str) -> dict[str, str]:
    import csv

    return {key.strip(): value for key, _, value in (each.partition("=") for each in next(csv.reader([text]), []))}


def _secret(text: str) -> tuple[str, bytes]:
    """``id=name[,src=FILE|env=VARIABLE]``."""
    fields = _fields(text)
    name = fields.get("id", "")
    if not name or fields.keys() - {"id", "src", "source", "env", "type"}:
        raise InvalidArgument(f"invalid --secret '{text}': expected id=name, and src=FILE or env=VARIABLE")
    path = fields.get("src", fields.get("source", ""))
    if fields.get("type") == "env" and path:
        fields["env"], path = path, ""
    variable = fields.get("env", "" if path or fields.get("type") == "file" else name)
    if not path and (variable in os.environ or fields.get("type") == "env"):
        return name, os.environb.get(os.fsencode(variable), b"")
    try:
        with open(path or name, "rb") as file:
            return name, file.read(1 << 20)
    except OSError as error:
        raise NotFound(f"the secret {name} cannot be read from {path or name}: {error.strerror}") from None


def _agent(text: str) -> tuple[str, str | list[str]]:
    """``ID[=SOCKET|KEY[,KEY]]``: an agent's socket, or files of keys."""
    name, _, value = text.partition("=")
    value = value or os.environ.get("SSH_AUTH_SOCK", "")
    if not value:
        raise InvalidArgument(
            f"invalid --ssh '{text}': SSH_AUTH_SOCK is not set, so name an agent's socket, or a file with a key"
        )
    found = [os.path.abspath(each) for each in value.split(",")]
    for each in found:
        if not os.path.exists(each):
            raise NotFound(f"the ssh agent's socket, or key, {each} does not exist")
    sockets = [each for each in found if stat.S_ISSOCK(os.stat(each).st_mode)]
    if sockets and len(found) > 1:
        raise InvalidArgument(f"invalid --ssh '{text}': expected one agent's socket, or only files of keys")
    return name, sockets[0] if sockets else found


def _output(text: str) -> Output:
    from orlop.engine.building import output_options
    from orlop.engine.building.request import Output

    if "=" not in text:
        return Output("tar" if text == "-" else "local", text)
    try:
        return output_options.read(_fields(text))
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid --output '{text}': {error}") from None


def _wishes(said: Parsed, arguments: dict[str, str]) -> dict[str, Any]:
    """Settings of the containers that steps run in."""
    made: dict[str, Any] = {}
    if arguments.get("BUILDKIT_SANDBOX_HOSTNAME"):
        made["hostname"] = arguments["BUILDKIT_SANDBOX_HOSTNAME"]
    if said["add-host"]:
        made["extra_hosts"] = [each.replace("=", ":", 1) for each in said["add-host"]]
    for names, _, _, _, setting in _LIMITS:
        option = names.rpartition("--")[2]
        if said.given(option):
            made[setting] = said[option]
    if said["ulimit"]:
        from orlop.cli import further_options

        try:
            made["ulimits"] = [further_options.ulimit(each) for each in said["ulimit"]]
        except ValueError as error:
            raise InvalidArgument(str(error)) from None
    return made


def _progress(said: Parsed) -> tuple[AbstractContextManager[object], Remembering]:
    from contextlib import nullcontext

    from orlop.build.progress import Progress
    from orlop.cli import build_progress

    chosen = said["progress"] if said.given("progress") else os.environ.get("BUILDKIT_PROGRESS", "")
    how = "quiet" if said["quiet"] else chosen if chosen in _PROGRESSES else "auto"
    if how == "auto":
        how = "tty" if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" else "plain"
    shown: Progress
    if how == "tty":
        from orlop.cli.build_tree import Tree

        tree = Tree(sys.stderr)
        return tree, build_progress.Remembering(tree)
    if how in ("quiet", "none"):
        shown = Progress()
    elif how == "rawjson":
        shown = build_progress.RawJson(sys.stderr)
    else:
        shown = build_progress.Plain(sys.stderr)
    return nullcontext(), build_progress.Remembering(shown)


def _tell_failure(request: BuildRequest, error: BuildFailed, remembering: Remembering) -> None:
    """Show the step that failed, with all that it wrote, and where it stands."""
    step = error.node.step
    log = remembering.log(error.node)
    sys.stderr.write(f"------\n > [{error.node.title} {error.node.place}] {step.text}:\n")
    sys.stderr.writelines(f"{line}\n" for line in log)
    sys.stderr.write(f"------\n{error.excerpt or request.dockerfile}\n")


def warn(built: Built, *, quiet: bool) -> None:
    """Tell what the checks have found."""
    if not built.findings or quiet:
        return
    count = len(built.findings)
    sys.stderr.write(f"\n {count} warning{'s' if count > 1 else ''} found:\n")
    for each in built.findings:
        sys.stderr.write(f" - {each.rule}: {each.message} (line {each.span.first})\n")


def _tell(location: Location, said: Parsed, request: BuildRequest, built: Built) -> None:
    if said["metadata-file"]:
        from orlop.engine.building import metadata

        metadata.write(location, said["metadata-file"], built)
    if built.image is None:
        return
    if said["iidfile"]:
        with open(said["iidfile"], "w", encoding="ascii") as file:
            file.write(built.image.id)
    archives = {each.destination for each in request.outputs if each.kind in {"oci", "docker", "tar"}}
    if archives & {"", "-"}:
        return  # standard output is the archive
    sys.stdout.write(f"{built.image.id}\n")
