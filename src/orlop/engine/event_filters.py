"""Which events are wanted, and how they look to clients that know older versions of Docker's API."""

from __future__ import annotations

from orlop import filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.filters import Filter

_TYPES = ("builder", "container", "daemon", "image", "network", "node", "plugin", "secret", "service", "volume")


def with_older_fields(event: dict[str, Any]) -> dict[str, Any]:
    """An event with the fields that Docker's API had before ``Actor``, which scripts still read."""
    kind = event["Type"]
    actor = event["Actor"]
    older: dict[str, Any] = {}
    if kind in ("container", "image"):
        older = {"status": event["Action"], "id": actor["ID"]}
        if kind == "container":
            older["from"] = actor["Attributes"].get("image", "")
    return {**older, **event, "Actor": {**actor, "Attributes": dict(sorted(actor["Attributes"].items()))}}


def tests() -> dict[str, Filter]:
    """Docker's, for what orlop's events tell of."""

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
