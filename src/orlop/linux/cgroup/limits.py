"""Setting the limits of ``linux.resources`` on a group."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.linux.cgroup.group import Group


def apply(group: Group, resources: dict[str, Any], *, new: bool, rootless: bool) -> None:
    """Set what ``resources`` asks for."""
