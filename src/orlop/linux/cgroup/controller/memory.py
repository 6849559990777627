"""Memory: ``linux.resources.memory`` (cgroup-v1/memory.rst, cgroup-v2.rst "Memory")."""

from __future__ import annotations

import os

from orlop.errors import InvalidConfig, Unsupported
from orlop.linux.cgroup import file
from orlop.linux.cgroup.controller import UNSIGNED_MINUS_ONE, Setting, maximum, number, number_or_zero

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def v1(section: dict[str, Any], directory: str) -> list[Setting]:
    """``limit`` and ``swap`` (memory plus swap) in whichever order the kernel takes; see `Setting.again`."""
    limit, swap = _limits(section)
    if limit == -1 and swap is None and os.path.exists(directory + "/memory.memsw.limit_in_bytes"):
        swap = -1  # memory alone cannot exceed memory plus swap
    settings = []
    if limit is not None:
        settings.append(_v1_limit("memory.limit_in_bytes", limit, again=True))
    if swap is not None:
        settings.append(_v1_limit("memory.memsw.limit_in_bytes", swap))
    for name, target in (
        ("reservation", "memory.soft_limit_in_bytes"),
        ("kernel", "memory.kmem.limit_in_bytes"),
        ("kernelTCP", "memory.kmem.tcp.limit_in_bytes"),
    ):
        value = number(section, name)
        if value is not None:
            settings.append(_v1_limit(target, value))
    swappiness = _swappiness(section)
    if swappiness is not None:
        settings.append(Setting("memory.swappiness", str(swappiness)))
    if section.get("disableOOMKiller") is not None:
        disabled = bool(section["disableOOMKiller"])
        settings.append(Setting("memory.oom_control", str(int(disabled)), unlimited=not disabled))
    if section.get("useHierarchy") is not None:
        settings.append(Setting("memory.use_hierarchy", str(int(bool(section["useHierarchy"])))))
    return settings  # checkBeforeUpdate needs nothing: version 1 refuses a limit below what is in use


def v2(section: dict[str, Any], directory: str) -> list[Setting]:
    """Version 2 counts swap by itself, so that ``swap`` becomes what it exceeds ``limit`` by."""
    limit, swap = _limits(section)
    settings = []
    swap_max = swap_to_v2(swap, limit, directory)
    if swap_max is not None:
        # A kernel without swap accounting has the file for neither: there is nothing to limit or to let go.
        missing_is_fine = swap_max in ("max", "0")
        if not missing_is_fine or os.path.exists(directory + "/memory.swap.max"):
            settings.append(Setting("memory.swap.max", swap_max, unlimited=missing_is_fine))
    if limit is not None:
        if section.get("checkBeforeUpdate") and limit > 0:
            _require_unused(limit, directory)
        settings.append(Setting("memory.max", maximum(limit), unlimited=limit < 0))
    reservation = number(section, "reservation")
    if reservation is not None:
        settings.append(Setting("memory.low", maximum(reservation), unlimited=reservation < 0))
    for name, value in (
        ("kernel", number(section, "kernel")),
        ("kernelTCP", number(section, "kernelTCP")),
        ("swappiness", _swappiness(section)),
        ("disableOOMKiller", section.get("disableOOMKiller")),
    ):
        if value is not None and value is not False and value != -1:
            raise Unsupported(f"linux.resources: memory.{name} exists on cgroup v1 only, and this machine has v2")
    if section.get("useHierarchy") is False:
        raise Unsupported("linux.resources: memory.useHierarchy cannot be false on cgroup v2, which is hierarchical")
    return settings


def swap_to_v2(swap: int | None, limit: int | None, directory: str) -> str | None:
    """The ``memory.swap.max`` that stands for a version 1 "memory plus swap" limit.

    Unlimited memory with nothing said about swap means unlimited swap too, as it does on version 1. Where
    only ``swap`` is given, it is taken to be about the memory limit that is set.
    """
    if swap is None:
        return "max" if limit == -1 else None
    if swap == -1:
        return "max"
    if limit is None:
        current = file.read_if_there(directory + "/memory.max") or "max"
        limit = -1 if current == "max" else int(current)
    if limit < 0:
        raise InvalidConfig("linux.resources: memory.swap needs memory.limit, of which it is the sum with swap")
    return str(swap - limit)


def _limits(section: dict[str, Any]) -> tuple[int | None, int | None]:
    limit = number(section, "limit")
    swap = number(section, "swap")
    for name, value in (("limit", limit), ("swap", swap)):
        if value is not None and value < -1:
            raise InvalidConfig(f"linux.resources: memory.{name} must be -1 or more, not {value}")
    if limit is not None and swap is not None and swap != -1 and (limit == -1 or swap < limit):
        raise InvalidConfig(
            f"linux.resources: memory.swap ({swap}) is memory plus swap and must be at least memory.limit ({limit})"
        )
    return limit, swap


def _v1_limit(target: str, value: int, *, again: bool = False) -> Setting:
    return Setting(target, str(value), unlimited=value < 0, again=again)


def _swappiness(section: dict[str, Any]) -> int | None:
    value = number_or_zero(section, "swappiness")
    if value is None or value in (-1, UNSIGNED_MINUS_ONE):
        return None
    if not 0 <= value <= 100:
        raise InvalidConfig(f"linux.resources: memory.swappiness must be between 0 and 100, not {value}")
    return value


def _require_unused(limit: int, directory: str) -> None:
    current = file.read_if_there(directory + "/memory.current")
    if current is not None and int(current) > limit:
        raise InvalidConfig(f"linux.resources: memory.limit {limit} is below the {current} bytes that are in use")
