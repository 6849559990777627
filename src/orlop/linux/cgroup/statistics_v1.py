"""Statistics of version 1 controllers (cgroup-v1/memory.rst, cpuacct.rst, blkio-controller.rst)."""

from __future__ import annotations

import os

from orlop.linux.cgroup import counters
from orlop.linux.cgroup.counters import UNLIMITED, without_zeros

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NANOSECONDS = 1_000_000_000
_CPUSET_NUMBERS = (
    ("cpu_exclusive", "cpuset.cpu_exclusive"),
    ("mem_hardwall", "cpuset.mem_hardwall"),
    ("mem_exclusive", "cpuset.mem_exclusive"),
    ("memory_migrate", "cpuset.memory_migrate"),
    ("memory_spread_page", "cpuset.memory_spread_page"),
    ("memory_spread_slab", "cpuset.memory_spread_slab"),
    ("memory_pressure", "cpuset.memory_pressure"),
    ("sched_load_balance", "cpuset.sched_load_balance"),
    ("sched_relax_domain_level", "cpuset.sched_relax_domain_level"),
)
# Both schedulers that ever counted, then the throttling layer, which always does; the first that has data is taken.
_BLKIO = (
    ("ioServiceBytesRecursive", ("io_service_bytes_recursive", "bfq.io_service_bytes_recursive")),
    ("ioServicedRecursive", ("io_serviced_recursive", "bfq.io_serviced_recursive")),
    ("ioQueueRecursive", ("io_queued_recursive", "bfq.io_queued_recursive")),
    ("ioServiceTimeRecursive", ("io_service_time_recursive", "bfq.io_service_time_recursive")),
    ("ioWaitTimeRecursive", ("io_wait_time_recursive", "bfq.io_wait_time_recursive")),
    ("ioMergedRecursive", ("io_merged_recursive", "bfq.io_merged_recursive")),
    ("ioTimeRecursive", ("time_recursive", "bfq.time_recursive")),
    ("sectorsRecursive", ("sectors_recursive", "bfq.sectors_recursive")),
)
_THROTTLE = {
    "ioServiceBytesRecursive": ("throttle.io_service_bytes_recursive", "throttle.io_service_bytes"),
    "ioServicedRecursive": ("throttle.io_serviced_recursive", "throttle.io_serviced"),
}


def add(data: dict[str, Any], controller: str, directory: str) -> None:
    """Put what one controller counts into the statistics; a controller that counts nothing is passed over."""
    reader = _READERS.get(controller)
    if reader is not None:
        reader(data, directory)


def _cpu(data: dict[str, Any], directory: str) -> None:
    stat = counters.keyed(directory + "/cpu.stat")
    throttling = {
        "periods": stat.get("nr_periods", 0),
        "throttledPeriods": stat.get("nr_throttled", 0),
        "throttledTime": stat.get("throttled_time", 0),
    }
    data["cpu"]["throttling"] = without_zeros(throttling)


def _cpuacct(data: dict[str, Any], directory: str) -> None:
    per_cpu = counters.numbers(directory + "/cpuacct.usage_percpu")
    # Not usage_user and usage_sys: those are sampled, and need not add up to the total; these are made to.
    tick = _NANOSECONDS // os.sysconf("SC_CLK_TCK")
    stat = counters.keyed(directory + "/cpuacct.stat")
    kernel, user = stat.get("system", 0) * tick, stat.get("user", 0) * tick
    usage = {
        "total": counters.number(directory + "/cpuacct.usage") or 0,
        "percpu": per_cpu if any(per_cpu) else [],
        "percpu_kernel": counters.numbers(directory + "/cpuacct.usage_percpu_sys"),
        "percpu_user": counters.numbers(directory + "/cpuacct.usage_percpu_user"),
    }
    data["cpu"]["usage"] = {**without_zeros(usage), "kernel": kernel, "user": user}


def _cpuset(data: dict[str, Any], directory: str) -> None:
    lists = {
        "cpus": counters.id_list(directory + "/cpuset.cpus"),
        "mems": counters.id_list(directory + "/cpuset.mems"),
    }
    data["cpuset"] = without_zeros(lists)
    for name, file in _CPUSET_NUMBERS:
        data["cpuset"][name] = counters.number(f"{directory}/{file}") or 0


def _memory(data: dict[str, Any], directory: str) -> None:
    raw = counters.keyed(directory + "/memory.stat")
    memory: dict[str, Any] = {}
    if raw.get("cache"):
        memory["cache"] = raw["cache"]
    for name, prefix in (
        ("usage", "memory"),
        ("swap", "memory.memsw"),
        ("kernel", "memory.kmem"),
        ("kernelTCP", "memory.kmem.tcp"),
    ):
        memory[name] = _memory_entry(f"{directory}/{prefix}")
    memory["raw"] = raw
    data["memory"] = memory


def _memory_entry(prefix: str) -> dict[str, int]:
    entry = {"limit": counters.number(prefix + ".limit_in_bytes") or 0}
    for name, file in (("usage", ".usage_in_bytes"), ("max", ".max_usage_in_bytes")):
        value = counters.number(prefix + file)
        if value:
            entry[name] = value
    entry["failcnt"] = counters.number(prefix + ".failcnt") or 0
    return entry


def _pids(data: dict[str, Any], directory: str) -> None:
    limit = counters.number(directory + "/pids.max")
    data["pids"] = without_zeros(
        {
            "current": counters.number(directory + "/pids.current"),
            "limit": 0 if limit == UNLIMITED else limit,
        }
    )


def _blkio(data: dict[str, Any], directory: str) -> None:
    found = {}
    for name, files in _BLKIO:
        for file in (*files, *_THROTTLE.get(name, ())):
            entries = blkio_entries(f"{directory}/blkio.{file}")
            if entries:
                found[name] = entries
                break
    data["blkio"] = found


def blkio_entries(path: str) -> list[dict[str, Any]]:
    """Lines of ``MAJOR:MINOR [OPERATION] VALUE``; the totals over all devices are left out."""
    found = []
    for line in (counters.text(path) or "").split("\n"):
        words = line.split()
        if len(words) < 2 or ":" not in words[0]:
            continue
        major, minor = words[0].split(":")
        operation = words[1] if len(words) == 3 else ""
        entry = {"major": int(major), "minor": int(minor), "op": operation, "value": int(words[-1])}
        found.append(without_zeros(entry))
    return found


def _hugetlb(data: dict[str, Any], directory: str) -> None:
    for name in counters.names(directory):
        if not name.endswith(".usage_in_bytes") or ".rsvd." in name:
            continue
        size = name.split(".")[1]
        entry = without_zeros(
            {
                "usage": counters.number(f"{directory}/{name}"),
                "max": counters.number(f"{directory}/hugetlb.{size}.max_usage_in_bytes"),
            }
        )
        data["hugetlb"][size] = {**entry, "failcnt": counters.number(f"{directory}/hugetlb.{size}.failcnt") or 0}


_READERS = {
    "cpu": _cpu,
    "cpuacct": _cpuacct,
    "cpuset": _cpuset,
    "memory": _memory,
    "pids": _pids,
    "blkio": _blkio,
    "hugetlb": _hugetlb,
}
