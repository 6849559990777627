"""What is nothing, as the API's description wants it: an empty list or object, where the engine's records have null."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LISTS = frozenset(("Aliases", "Authorization", "DNSNames", "Entrypoint", "Links", "Warnings"))
_OBJECTS = frozenset(("Annotations", "Labels", "Options", "Tmpfs"))
#: The ends of the names of what is counted for each block device.
_COUNTERS = "_recursive"
#: Numbers that are left out where there is none.
_LEFT_OUT = frozenset(("MemorySwappiness",))


#: Fields that are always told, and mean something to engines on other systems or of older days.
_OF_CONFIG: dict[str, Any] = {"OnBuild": None, "Volumes": {}}
_OF_HOST: dict[str, Any] = {
    "Cgroup": "",
    "ConsoleSize": [0, 0],
    "ContainerIDFile": "",
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumBandwidth": 0,
    "IOMaximumIOps": 0,
}


def container(described: dict[str, Any]) -> dict[str, Any]:
    """A container as `orlop.engine.inspection` describes it, with every field that the API's description has."""
    config, host = described["Config"], described["HostConfig"]
    told: dict[str, Any] = filled({**described, "Config": {**_OF_CONFIG, **config}, "HostConfig": {**_OF_HOST, **host}})
    return told


def filled(value: Any) -> Any:
    """The same value, with its nulls replaced where the description has a list or an object."""
    if isinstance(value, list):
        return [filled(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _of(key) if each is None else filled(each)
        for key, each in value.items()
        if not (each is None and key in _LEFT_OUT)
    }


def _of(key: str) -> list[object] | dict[str, object] | None:
    return [] if key in _LISTS or key.endswith(_COUNTERS) else {} if key in _OBJECTS else None
