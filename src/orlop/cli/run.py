"""``orlop run``: make a container, start it, and be its terminal until it ends.

Whether its image is here is found out by trying: that it is, is the rule, and costs nothing extra.
"""

from __future__ import annotations

import os
import sys

from orlop.cli import settings_options
from orlop.engine import launch, start
from orlop.engine.container import Container
from orlop.engine.settings import HOST_IMAGE
from orlop.errors import ImageNotFound, InvalidArgument, OrlopError, told
from orlop.options import Option, Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from orlop.engine.detach_keys import DetachKeys
    from orlop.engine.location import Location
    from orlop.engine.settings import Settings
    from orlop.options import Parsed

_ALWAYS, _MISSING, _NEVER = "always", "missing", "never"
#: How often an image may be removed right after it was pulled.
_MOST_REMOVED = 2

PARSER = Parser(
    "orlop run",
    "IMAGE [COMMAND] [ARG...]  |  --rootfs DIR COMMAND [ARG...]",
    "Create and run a new container.\n\n"
    "The image 'host' is a copy-on-write view of this machine's own root file system;\n"
    "--rootfs runs on a directory, in place.",
    (
        Option("-d, --detach", "Run container in background and print container ID"),
        Option("--rm", "Automatically remove the container when it exits"),
        Option(
            "--pull",
            "Pull image before running",
            value="policy",
            read=one_of(_ALWAYS, _MISSING, _NEVER),
            default=_MISSING,
        ),
        Option("-q, --quiet", "Suppress the pull output"),
        Option("--sig-proxy", "Proxy received signals to the process", default=True),
        Option("--detach-keys", "Override the key sequence for detaching a container", value="string"),
        *settings_options.OPTIONS,
    ),
    at_least=1,
    intermixed=False,
    further=settings_options.further,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out; returns the container's exit status, or 125 to 127 if it did not start."""
    try:
        return _run(location, said)
    except _Refused as error:
        sys.stderr.write(f"orlop: {error}\n")
        return 1
    except OrlopError as error:
        sys.stderr.write(f"orlop: {told(error)}\n")
        return error.exit_code if error.exit_code in (126, 127) else 125


class _Refused(InvalidArgument):
    """What Docker's client refuses before it asks its daemon, and with another exit status."""


def _run(location: Location, said: Parsed) -> int:
    location.prepare()
    always = said["pull"] == _ALWAYS
    client = None if always else launch.connect(location)  # whoever answers gets ready meanwhile
    settings = settings_options.read(said)
    settings.auto_remove = said["rm"]
    check(settings, said)
    replace(location, settings, said)
    if always and settings.image not in ("", HOST_IMAGE):
        pull(location, settings, said)
    try:
        return _start(location, settings, said, client or launch.connect(location))
    except ImageNotFound:
        if said["pull"] != _MISSING:
            raise
    for _ in range(_MOST_REMOVED):
        pull(location, settings, said, is_missing=True)
        try:
            return _start(location, settings, said, launch.connect(location))
        except ImageNotFound:
            continue  # somebody has removed it again before it was in use
    pull(location, settings, said, is_missing=True)
    return _start(location, settings, said, launch.connect(location))


def _start(location: Location, settings: Settings, said: Parsed, client: _socket.socket | None) -> int:
    detach = said["detach"]
    streams = said["attach"] if said.has_further else []
    if detach and streams:
        raise _Refused("conflicting options: cannot specify both --attach and --detach")
    settings.stdin_once = settings.open_stdin and not detach and "stdin" in (streams or ("stdin",))
    typing = settings.terminal and settings.stdin_once
    if typing and not os.isatty(0):
        raise _Refused("the input device is not a TTY")
    keys = _detach_keys(said) if typing else None
    if detach:
        started = start.create_and_start(location, settings, client, stays=True)
        tell(said, started.id, started.warnings)
        started.session.wait_started()
        sys.stdout.write(started.id + "\n")
        return 0
    from orlop.cli import attachment

    with attachment.Terminal(raw=typing, signals=said["sig-proxy"]) as terminal:
        settings.console_size = terminal.size() if settings.terminal else None
        started = start.create_and_start(location, settings, client, stays=False)
        tell(said, started.id, started.warnings)
        started.session.wait_started()
        target = Container(location, started.id)
        if streams:
            _drop_others(streams)
        return attachment.attach(started.session, terminal, target, read_stdin=settings.stdin_once, keys=keys)


def _drop_others(streams: list[str]) -> None:
    """Have output that is not attached to vanish."""
    null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if name not in streams:
            os.dup2(null, descriptor)
    os.close(null)


def _detach_keys(said: Parsed) -> DetachKeys:
    from orlop.cli import detach_keys

    return detach_keys.choose(said["detach-keys"])


def check(settings: Settings, said: Parsed) -> None:
    """Refuse options that contradict each other.

    Raises:
        InvalidArgument: as said.
    """
    if said.has_further:
        from orlop.cli import cid_file

        cid_file.check(said)
    if settings.auto_remove and settings.restart_policy["Name"] != "no":
        raise InvalidArgument("conflicting options: cannot specify both --restart and --rm")


def replace(location: Location, settings: Settings, said: Parsed) -> None:
    """Remove the container whose name is wanted, if that is wanted too.

    Raises:
        InvalidArgument: no name is.
    """
    if not (said.has_further and said["replace"]):
        return
    from orlop.engine import names, removal
    from orlop.errors import NotFound

    if not settings.name:
        raise InvalidArgument("--replace replaces the container of a name: give --name too")
    holder = names.holder_of(location.names, settings.name)
    if holder is not None:
        try:
            removal.remove(Container(location, holder), force=True)
        except NotFound:
            return  # somebody else has removed it


def tell(said: Parsed, container_id: str, warnings: list[str]) -> None:
    """The container is there: write its id where that is wanted, and say what was left out."""
    if said.has_further:
        from orlop.cli import cid_file

        cid_file.write(said, container_id)
        if said.given("kernel-memory"):
            sys.stderr.write("WARNING: --kernel-memory has no effect: kernels since 5.4 do not limit it\n")
    for each in warnings:
        sys.stderr.write(f"WARNING: {each}\n")


def pull(location: Location, settings: Settings, said: Parsed, *, is_missing: bool = False) -> None:
    """Get the image from its registry, in a child: what that imports and the threads that it has are none of ours.

    Raises:
        OrlopError: it cannot be had.
    """
    from orlop.engine import own_namespace
    from orlop.images import reference

    name = reference.parse(settings.image).with_default_tag()
    if is_missing and not said["quiet"]:
        sys.stderr.write(f"Unable to find image '{name.familiar}' locally\n")
        sys.stderr.flush()

    def pull() -> None:
        from orlop.cli import progress
        from orlop.engine import image_transfer

        how = "quiet" if said["quiet"] else "auto"
        with progress.choose(sys.stderr, how) as shown:
            image_transfer.pull(location, str(name), shown, wanted=settings.platform)

    own_namespace.run(pull)
