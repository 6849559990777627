"""Docker's filters for networks."""

from __future__ import annotations

from orlop import filters
from orlop.engine import networks
from orlop.network import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.engine.location import Location
    from orlop.filters import Filter

_BUILT_IN = (record.BRIDGE, record.HOST, record.NONE)


def known(location: Location) -> dict[str, Filter]:
    """The filters of lists."""
    return {
        "dangling": filters.flag(lambda network: networks.is_dangling(location, network)),
        "driver": filters.same(lambda network: network["Driver"]),
        "id": filters.pattern(lambda network: network["Id"]),
        "label": filters.label(lambda network: network["Labels"]),
        "name": filters.pattern(lambda network: network["Name"]),
        "scope": filters.same(lambda network: network["Scope"], "local", "global", "swarm"),
        "type": filters.same(_type, "custom", "builtin"),
    }


def of_prune() -> dict[str, Filter]:
    """The filters of what is to be removed."""
    return {
        "label": filters.label(lambda network: network["Labels"]),
        "label!": filters.without_label(lambda network: network["Labels"]),
        "until": filters.until(lambda network: network["Created"]),
    }


def _type(network: Mapping[str, Any]) -> str:
    return "builtin" if network["Name"] in _BUILT_IN else "custom"
