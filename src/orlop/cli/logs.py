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
        Option("--details", "Show extra details provided to logs"),
        Option("-f, --follow", "Follow log output"),
        Option(
            "--since",
            'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")',
            value="string",
        ),
        Option("-n, --tail", "Number of lines to show from the end of the logs", value="string", read=tail),
        Option("-t, --timestamps", "Show timestamps"),
        Option(
            "--until",
            'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")',
            value="string",
        ),
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
    begins_line = {"stdout": True, "stderr": True}
    entries = log_reader.read(
        target,
        tail=None if count in (None, -1) else count,
        follow=said["follow"],
        since=_moment("since", said["since"]),
        until=_moment("until", said["until"]),
    )
    for entry in entries:
        out = sys.stderr if entry.stream == "stderr" else sys.stdout
        text = entry.text
        if begins_line.get(entry.stream, True):
            if said["details"]:
                text = f"{_details(entry.attributes)} {text}"
            if said["timestamps"]:
                text = f"{entry.time} {text}"
        begins_line[entry.stream] = text.endswith("\n")
        out.buffer.write(text.encode("utf-8", "surrogateescape"))
        out.buffer.flush()
    return 0


def _moment(option: str, text: str | None) -> int | None:
    """Nanoseconds since 1970."""
    if not text:
        return None
    from orlop import filters
    from orlop.errors import InvalidArgument

    try:
        return filters.nanoseconds(text)
    except ValueError as error:
        raise InvalidArgument(f'invalid value "{text}" for --{option}: {error}') from None


def _details(attributes: dict[str, str]) -> str:
    from urllib.parse import quote_plus

    return ",".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sorted(attributes.items()))
