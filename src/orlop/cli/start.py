"""``orlop start``."""

from __future__ import annotations

import sys

from orlop.errors import InvalidArgument, NotFound, OrlopError, told
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop start",
    "CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    (
        Option("-a, --attach", "Attach STDOUT/STDERR and forward signals"),
        Option("--detach-keys", "Override the key sequence for detaching a container", value="string"),
        Option("-i, --interactive", "Attach container's STDIN"),
        Option("--sig-proxy", "Proxy received signals to the process", default=True),
    ),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, repair

    location.prepare()
    repair.everything(location)
    if said["attach"] or said["interactive"]:
        if len(said.arguments) > 1:
            raise InvalidArgument("you cannot start and attach multiple containers at once")
        return _attached(container.find(location, said.arguments[0]), said)
    failed = []
    for name in said.arguments:
        try:
            _start(container.find(location, name))
        except (NotFound, OrlopError) as error:
            sys.stderr.write(f"Error: {told(error)}\n")
            failed.append(name)
            continue
        sys.stdout.write(f"{name}\n")
    if failed:
        sys.stderr.write(f"Error: failed to start containers: {', '.join(failed)}\n")
    return 1 if failed else 0


def _start(target: Container) -> None:
    from orlop.engine import restart

    session = restart.start(target)
    if session is not None:
        session.wait_started()
        session.leave()


def _attached(target: Container, said: Parsed) -> int:
    """Start one container and be its terminal; returns its exit status."""
    import os

    from orlop.cli import attachment, detach_keys
    from orlop.engine import control, restart

    config = target.record["Config"]
    typing = said["interactive"] and config["OpenStdin"]
    raw = typing and config["Tty"]
    if raw and not os.isatty(0):
        raise InvalidArgument("the input device is not a TTY")
    keys = detach_keys.choose(said["detach-keys"]) if raw else None
    with attachment.Terminal(raw=raw, signals=said["sig-proxy"]) as terminal:
        size = terminal.size() if config["Tty"] else None
        session = restart.start(target, console_size=size, stays=False)
        if session is None:
            session = control.attach(target, stdin=typing)
            if size is not None:
                attachment.redraw(session, size)
        else:
            session.wait_started()
        return attachment.attach(session, terminal, target, read_stdin=typing, keys=keys)
