"""``orlop attach``: be the terminal of a container that runs, beside whoever else is."""

from __future__ import annotations

import os

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop attach",
    "CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    (
        Option("--detach-keys", "Override the key sequence for detaching a container", value="string"),
        Option("--no-stdin", "Do not attach STDIN"),
        Option("--sig-proxy", "Proxy all received signals to the process", default=True),
    ),
    at_least=1,
    at_most=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out; returns the container's exit status."""
    from orlop.cli import attachment, detach_keys
    from orlop.engine import container, control, repair
    from orlop.errors import InvalidArgument

    repair.everything(location)
    target = container.find(location, said.arguments[0])
    config = target.record["Config"]
    reads = bool(config["OpenStdin"]) and not said["no-stdin"]
    typing = bool(config["Tty"]) and reads
    if typing and not os.isatty(0):
        raise InvalidArgument("the input device is not a TTY")
    keys = detach_keys.choose(said["detach-keys"]) if typing else None
    with attachment.Terminal(raw=typing, signals=said["sig-proxy"]) as terminal:
        session = control.attach(target, stdin=reads)
        size = terminal.size() if config["Tty"] else None
        if size is not None:
            attachment.redraw(session, size)
        return attachment.attach(session, terminal, target, read_stdin=reads, keys=keys)
