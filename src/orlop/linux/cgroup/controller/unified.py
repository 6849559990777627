"""``linux.resources.unified``: files of version 2 by their own names."""

from __future__ import annotations

from orlop.errors import InvalidConfig
from orlop.linux.cgroup.controller import Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def v2(section: dict[str, Any], _directory: str) -> list[Setting]:
    """Each line of a value is a write of its own, as files with a line per device want it."""
    settings = []
    for name, value in section.items():
        if not name or "/" in name or "." not in name.strip("."):
            raise InvalidConfig(
                f"linux.resources: {name!r} in unified must be the name of a cgroup file, like memory.max"
            )
        if not isinstance(value, str):
            raise InvalidConfig(f"linux.resources: unified.{name} must be a string, not {value!r}")
        settings += [Setting(name, line) for line in value.split("\n") if line] or [Setting(name, value)]
    return settings
