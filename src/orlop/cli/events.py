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
    from orlop.filters import Filter
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
_TYPES = ("builder", "container", "daemon", "image", "network", "node", "plugin", "secret", "service", "volume")


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import filters
    from orlop.engine import events

    since = _moment("since", said["since"])
    until = _moment("until", said["until"])
    wanted = filters.read(said["filter"], _filters())
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

        return lambda event: json_text.dumps(_full(event))
    from orlop.cli.template import Template

    template = Template(format_, escapes=True)
    return lambda event: template.render(_fields(event))


def _full(event: dict[str, Any]) -> dict[str, Any]:
    """An event with the fields that Docker's API had before ``Actor``, which scripts still read."""
    kind = event["Type"]
    actor = event["Actor"]
    older: dict[str, Any] = {}
    if kind in ("container", "image"):
        older = {"status": event["Action"], "id": actor["ID"]}
        if kind == "container":
            older["from"] = actor["Attributes"].get("image", "")
    return {**older, **event, "Actor": {**actor, "Attributes": dict(sorted(actor["Attributes"].items()))}}


def _fields(event: dict[str, Any]) -> dict[str, Any]:
    """An event as templates see it: by the names that the fields have in Docker's client."""
    full = _full(event)
    return {
        "Status": full.get("status", ""),
        "ID": full.get("id", ""),
        "From": full.get("from", ""),
        "Type": event["Type"],
        "Action": event["Action"],
        "Actor": full["Actor"],
        "Scope": event["scope"],
        "Time": event["time"],
        "TimeNano": event["timeNano"],
    }


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


def _filters() -> dict[str, Filter]:
    """Docker's, for what orlop's events tell of."""
    from orlop import filters

    def of(kind: str) -> Filter:
        """Events of an object of a kind, or that have to do with one, by its ID, its name, or the beginning of its ID."""

        def make(text: str) -> Callable[[Any], bool]:
            def test(event: dict[str, Any]) -> bool:
                actor = event["Actor"]
                if event["Type"] == kind:
                    names = (actor["ID"], actor["Attributes"].get("name", ""))
                    return text in names or (bool(text) and actor["ID"].removeprefix("sha256:").startswith(text))
                return bool(text == actor["Attributes"].get(kind))

            return test

        return make

    def image(text: str) -> Callable[[Any], bool]:
        def test(event: dict[str, Any]) -> bool:
            actor = event["Actor"]
            names = [actor["ID"], actor["Attributes"].get("image", "")]
            if event["Type"] == "image":
                names.append(actor["Attributes"].get("name", ""))
            return any(text == name or text == _without_tag(name) for name in names if name)

        return test

    def action(text: str) -> Callable[[Any], bool]:
        return lambda event: text in (event["Action"], event["Action"].partition(":")[0])

    return {
        "container": of("container"),
        "event": action,
        "image": image,
        "label": filters.label(lambda event: event["Actor"]["Attributes"]),
        "network": of("network"),
        "scope": filters.same(lambda event: event["scope"], "local", "swarm"),
        "type": filters.same(lambda event: event["Type"], *_TYPES),
        "volume": of("volume"),
    }


def _without_tag(name: str) -> str:
    """``debian`` of ``debian:12``; a port in a registry's name is no tag."""
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name
