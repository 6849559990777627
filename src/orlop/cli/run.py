"""``orlop run``: make a container, start it, and be its terminal until it ends."""

from __future__ import annotations

import os
import sys

from orlop.cli import settings_options
from orlop.engine import launch, start
from orlop.engine.container import Container
from orlop.errors import InvalidArgument, OrlopError
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop run",
    "IMAGE [COMMAND] [ARG...]  |  --rootfs DIR COMMAND [ARG...]",
    "Create and run a new container.\n\n"
    "The image 'host' is a copy-on-write view of this machine's own root file system;\n"
    "--rootfs runs on a directory, in place.",
    (
        Option("-d, --detach", "Run container in background and print container ID"),
        Option("--rm", "Automatically remove the container when it exits"),
        Option("--sig-proxy", "Proxy received signals to the process", default=True),
        *settings_options.OPTIONS,
    ),
    at_least=1,
    intermixed=False,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out; returns the container's exit status, or 125 to 127 if it did not start."""
    try:
        return _run(location, said)
    except OrlopError as error:
        sys.stderr.write(f"orlop: {error}\n")
        return error.exit_code if error.exit_code in (126, 127) else 125


def _run(location: Location, said: Parsed) -> int:
    location.prepare()
    client = launch.connect(location)  # whoever answers gets ready meanwhile
    settings = settings_options.read(said)
    settings.auto_remove = said["rm"]
    detach = said["detach"]
    typing = settings.terminal and settings.open_stdin and not detach
    if typing and not os.isatty(0):
        raise InvalidArgument("the input device is not a TTY")
    if detach:
        started = start.create_and_start(location, settings, client, stays=True)
        _warn(started.warnings)
        started.session.wait_started()
        sys.stdout.write(started.id + "\n")
        return 0
    from orlop.cli import attachment

    with attachment.Terminal(raw=typing, signals=said["sig-proxy"]) as terminal:
        settings.console_size = terminal.size() if settings.terminal else None
        started = start.create_and_start(location, settings, client, stays=False)
        _warn(started.warnings)
        started.session.wait_started()
        target = Container(location, started.id)
        return attachment.attach(started.session, terminal, target, read_stdin=settings.open_stdin)


def _warn(warnings: list[str]) -> None:
    for each in warnings:
        sys.stderr.write(f"WARNING: {each}\n")
