"""Huge pages: ``linux.resources.hugepageLimits`` (cgroup-v1/hugetlb.rst, cgroup-v2.rst "HugeTLB")."""

from __future__ import annotations

import os

from orlop.errors import InvalidConfig
from orlop.linux.cgroup.controller import Setting, maximum, number_or_zero

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def v1(section: list[dict[str, Any]], directory: str) -> list[Setting]:
    """A limit on use, and the same on reservations where the kernel (5.7) has that."""
    return _settings(section, directory, "limit_in_bytes")


def v2(section: list[dict[str, Any]], directory: str) -> list[Setting]:
    """As `v1`, in version 2's files."""
    return _settings(section, directory, "max")


def _settings(section: list[dict[str, Any]], directory: str, suffix: str) -> list[Setting]:
    settings = []
    for entry in section:
        size = entry.get("pageSize")
        limit = number_or_zero(entry, "limit")
        if not isinstance(size, str) or size[-2:] not in ("KB", "MB", "GB") or not size[:-2].isdecimal():
            raise InvalidConfig(f"linux.resources: a pageSize of hugepageLimits must be like 2MB, not {size!r}")
        if limit is None:
            raise InvalidConfig(f"linux.resources: the hugepageLimits entry for {size} has no limit")
        value = str(limit) if suffix != "max" else maximum(limit)
        settings.append(Setting(f"hugetlb.{size}.{suffix}", value, unlimited=limit < 0))
        reserved = f"hugetlb.{size}.rsvd.{suffix}"
        if os.path.exists(f"{directory}/{reserved}"):
            settings.append(Setting(reserved, value, unlimited=limit < 0))
    return settings
