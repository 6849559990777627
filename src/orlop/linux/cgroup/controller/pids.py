"""How many processes and threads: ``linux.resources.pids``."""

from __future__ import annotations

from orlop.linux.cgroup.controller import Setting, maximum, number_or_zero

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def v1(section: dict[str, Any], _directory: str) -> list[Setting]:
    """Zero is a limit here: the processes that joined may not fork (runtime-spec 1.3)."""
    limit = number_or_zero(section, "limit")
    if limit is None:
        return []
    return [Setting("pids.max", maximum(limit), unlimited=limit < 0)]


v2 = v1
