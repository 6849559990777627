"""Statistics of version 2 (cgroup-v2.rst), in the terms of version 1 that engines know."""

from __future__ import annotations

import os

from orlop.linux.cgroup import counters
from orlop.linux.cgroup.counters import UNLIMITED, without_zeros

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NANOSECONDS_PER_MICROSECOND = 1000
_IO = (
    ("ioServiceBytesRecursive", (("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard"))),
    ("ioServicedRecursive", (("rios", "Read"), ("wios", "Write"), ("dios", "Discard"))),
)


def add(data: dict[str, Any], directory: str, *, pressure_only: bool = False) -> None:
    """Put what the unified hierarchy counts into the statistics.

    ``pressure_only`` is for hybrid layouts: pressure and huge pages, the rest counts in version 1.
    """
    names = set(counters.names(directory))
    if not pressure_only:
        _cpu(data, directory)
        if "cpuset.cpus" in names:
            _cpuset(data, directory)
        if "memory.current" in names:
            _memory(data, directory)
        if "pids.current" in names:
            _pids(data, directory)
        if "io.stat" in names:
            _io(data, directory)
    _hugetlb(data, directory, names)
    for section, file in (("cpu", "cpu.pressure"), ("memory", "memory.pressure"), ("blkio", "io.pressure")):
        pressure = counters.pressure(f"{directory}/{file}") if file in names else None
        if pressure is not None:
            data[section]["psi"] = pressure


def _cpu(data: dict[str, Any], directory: str) -> None:
    stat = counters.keyed(directory + "/cpu.stat")
    scale = _NANOSECONDS_PER_MICROSECOND
    total = stat.get("usage_usec", 0) * scale
    usage: dict[str, Any] = {"total": total} if total else {}
    usage["kernel"] = stat.get("system_usec", 0) * scale
    usage["user"] = stat.get("user_usec", 0) * scale
    data["cpu"]["usage"] = usage
    data["cpu"]["throttling"] = without_zeros(
        {
            "periods": stat.get("nr_periods", 0),
            "throttledPeriods": stat.get("nr_throttled", 0),
            "throttledTime": stat.get("throttled_usec", 0) * scale,
        }
    )


def _cpuset(data: dict[str, Any], directory: str) -> None:
    data["cpuset"] = without_zeros(
        {
            "cpus": counters.id_list(directory + "/cpuset.cpus.effective"),
            "mems": counters.id_list(directory + "/cpuset.mems.effective"),
        }
    )


def _memory(data: dict[str, Any], directory: str) -> None:
    raw = counters.keyed(directory + "/memory.stat")
    usage = _limit_and_use(directory + "/memory")
    usage["failcnt"] = counters.keyed(directory + "/memory.events").get("max", 0)
    # Version 1 counts memory and swap together, and engines subtract the one from the other.
    swap = _limit_and_use(directory + "/memory.swap")
    if os.path.exists(directory + "/memory.swap.max"):
        swap["usage"] = swap.get("usage", 0) + usage.get("usage", 0)
        if UNLIMITED in (swap["limit"], usage["limit"]):
            swap["limit"] = UNLIMITED
        else:
            swap["limit"] += usage["limit"]
    swap["failcnt"] = usage["failcnt"]
    memory: dict[str, Any] = {"cache": raw["file"]} if raw.get("file") else {}
    nothing = {"limit": 0, "failcnt": 0}
    memory |= {"usage": usage, "swap": swap, "kernel": nothing, "kernelTCP": dict(nothing), "raw": raw}
    data["memory"] = memory


def _limit_and_use(prefix: str) -> dict[str, int]:
    entry = {"limit": counters.number(prefix + ".max") or 0}
    for name, file in (("usage", ".current"), ("max", ".peak")):
        value = counters.number(prefix + file)
        if value:
            entry[name] = value
    return entry


def _pids(data: dict[str, Any], directory: str) -> None:
    limit = counters.number(directory + "/pids.max")
    data["pids"] = without_zeros(
        {
            "current": counters.number(directory + "/pids.current"),
            "limit": 0 if limit == UNLIMITED else limit,
        }
    )


def _io(data: dict[str, Any], directory: str) -> None:
    lines = counters.nested(directory + "/io.stat")
    for section, keys in _IO:
        entries = []
        for device, values in lines:
            major, _, minor = device.partition(":")
            for key, operation in keys:
                if key in values:
                    entry = {"major": int(major), "minor": int(minor), "op": operation, "value": int(values[key])}
                    entries.append(without_zeros(entry))
        if entries:
            data["blkio"][section] = entries


def _hugetlb(data: dict[str, Any], directory: str, names: set[str]) -> None:
    for name in sorted(names):
        if not name.startswith("hugetlb.") or not name.endswith(".current") or ".rsvd." in name:
            continue
        size = name.split(".")[1]
        entry = without_zeros({"usage": counters.number(f"{directory}/{name}")})
        events = counters.keyed(f"{directory}/hugetlb.{size}.events")
        data["hugetlb"][size] = {**entry, "failcnt": events.get("max", 0)}
