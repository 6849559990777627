"""Which processors and memory nodes: ``cpus`` and ``mems`` of ``linux.resources.cpu`` (cpuset(7))."""

from __future__ import annotations

from orlop.errors import InvalidConfig
from orlop.linux.cgroup.controller import Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def v1(section: dict[str, Any], _directory: str) -> list[Setting]:
    """Lists such as ``0-2,7``; empty ones change nothing."""
    settings = []
    for name in ("cpus", "mems"):
        value = section.get(name)
        if value:
            if not isinstance(value, str) or not set(value) <= set("0123456789,- "):
                raise InvalidConfig(f"linux.resources: cpu.{name} must be a list such as 0-2,7, not {value!r}")
            settings.append(Setting(f"cpuset.{name}", value))
    return settings


v2 = v1
