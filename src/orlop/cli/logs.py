"""``orlop logs``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed


def tail(text: str) -> int:
    """A number of lines; ``all`` and negative numbers are all of them, -1."""
    from orlop.options import integer

    return -1 if text == "all" else max(integer(text), -1)


PARSER = Parser(
    "orlop logs",
    "CONTAINER",
    "Fetch the logs of a container",
    (
        Option("-f, --follow", "Follow log output"),
        Option("-n, --tail", "Number of lines to show from the end of the logs", value="string", read=tail),
        Option("-t, --timestamps", "Show timestamps"),
    ),
    at_least=1,
    at_most=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, log_reader, repair

    repair.everything(location)
    target = container.find(location, said.arguments[0])
    count = said["tail"]
    stamps = said["timestamps"]
    begins_line = {"stdout": True, "stderr": True}
    for entry in log_reader.read(target, tail=None if count in (None, -1) else count, follow=said["follow"]):
        out = sys.stderr if entry.stream == "stderr" else sys.stdout
        text = f"{entry.time} {entry.text}" if stamps and begins_line.get(entry.stream, True) else entry.text
        begins_line[entry.stream] = entry.text.endswith("\n")
        out.buffer.write(text.encode("utf-8", "surrogateescape"))
        out.buffer.flush()
    return 0
