"""``orlop events``."""

from __future__ import annotations

import sys

from orlop.errors import InvalidArgument
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop events",
    "",
    "Get real time events from the engine",
    (
        Option("-f, --filter", "Filter output based on conditions provided", value="filter", many=True),
        Option("--format", "'json', or a template such as '{{.Actor.ID}}'", value="string", default=""),
        Option("--since", "Show all events created since timestamp", value="string", default=""),
        Option("--until", "Stream events until this timestamp", value="string", default=""),
    ),
    at_most=0,
)

_SECOND = 1_000_000_000


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import filters
    from orlop.engine import event_filters, events

    since = _moment("since", said["since"])
    until = _moment("until", said["until"])
    wanted = filters.read(said["filter"], event_filters.tests())
    show = _format(said["format"])
    location.prepare()
    for event in events.follow(location, since, until):
        if wanted(event):
            sys.stdout.write(show(event) + "\n")
            sys.stdout.flush()
    return 0


def _moment(option: str, text: str) -> int | None:
    """Nanoseconds since 1970."""
    if not text:
        return None
    from orlop import filters

    try:
        return filters.nanoseconds(text)
    except ValueError as error:
        raise InvalidArgument(f'invalid value "{text}" for --{option}: {error}') from None


def _format(format_: str) -> Callable[[dict[str, Any]], str]:
    if not format_:
        return _line
    if format_ == "json":
        from orlop import json_text
        from orlop.engine import event_filters

        return lambda event: json_text.dumps(event_filters.with_older_fields(event))
    from orlop.cli.template import Template

    template = Template(format_, escapes=True)
    return lambda event: template.render(_fields(event))


def _fields(event: dict[str, Any]) -> dict[str, Any]:
    """An event as templates see it: JSON has the API's names for the fields, which Docker's client has others for."""
    from orlop.cli.gotemplate.values import Method
    from orlop.engine import event_filters

    full = event_filters.with_older_fields(event)
    client_s = {
        "Status": "status",
        "ID": "id",
        "From": "from",
        "Scope": "scope",
        "Time": "time",
        "TimeNano": "timeNano",
    }
    return {**full, **{name: Method(lambda key=key: full.get(key, "")) for name, key in client_s.items()}}


def _line(event: dict[str, Any]) -> str:
    import time

    seconds, rest = divmod(event["timeNano"], _SECOND)
    then = time.localtime(seconds)
    zone = "Z" if not then.tm_gmtoff else time.strftime("%z", then)
    if len(zone) == 5:
        zone = f"{zone[:3]}:{zone[3:]}"
    moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', then)}.{rest:09d}{zone}"
    actor = event["Actor"]
    attributes = ", ".join(f"{key}={value}" for key, value in sorted(actor["Attributes"].items()))
    return f"{moment} {event['Type']} {event['Action']} {actor['ID']}" + (f" ({attributes})" if attributes else "")
