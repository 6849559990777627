"""Marking of packets: ``linux.resources.network``, version 1 only (net_cls.rst and net_prio.rst)."""

from __future__ import annotations

from orlop.errors import InvalidConfig
from orlop.linux.cgroup.controller import Setting, number, number_or_zero

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def net_cls(section: dict[str, Any], _directory: str) -> list[Setting]:
    """The class that tc sees packets in."""
    class_id = number(section, "classID")
    return [] if class_id is None else [Setting("net_cls.classid", str(class_id))]


def net_prio(section: dict[str, Any], _directory: str) -> list[Setting]:
    """A priority for each interface, one write each."""
    settings = []
    for entry in section.get("priorities") or []:
        name = entry.get("name")
        priority = number_or_zero(entry, "priority")
        if not isinstance(name, str) or not name or priority is None:
            raise InvalidConfig(f"linux.resources: an entry of network.priorities needs name and priority: {entry!r}")
        settings.append(Setting("net_prio.ifpriomap", f"{name} {priority}"))
    return settings
