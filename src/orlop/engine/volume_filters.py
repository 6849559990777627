"""The filters that lists of volumes have, as Docker's."""

from __future__ import annotations

from orlop import filters
from orlop.engine import volume_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.engine.location import Location
    from orlop.filters import Filter


def tests(location: Location) -> dict[str, Filter]:
    """The filters that volumes have."""
    used: list[dict[str, list[str]]] = []

    def is_dangling(volume: Mapping[str, Any]) -> bool:
        if not used:
            used.append(volume_store.users(location))
        return volume["Name"] not in used[0]

    return {
        "dangling": filters.flag(is_dangling),
        "driver": filters.same(lambda volume: volume["Driver"]),
        "label": filters.label(lambda volume: volume["Labels"]),
        "name": filters.pattern(lambda volume: volume["Name"]),
    }
