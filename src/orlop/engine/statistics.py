"""What running containers use, in the words of Docker's API (``ContainerStatsResponse``).

A sample counts from the container's start. What happened in a time is the difference of two of them, which is why each
has the counters of processor time of the one before it, as ``precpu_stats``.
"""

from __future__ import annotations

import os

from orlop import clock
from orlop.engine import repair
from orlop.errors import NotFound
from orlop.runtime.container import Container as RuntimeContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.container import Container

_SECOND = 1_000_000_000
#: Docker's names of what a block device did, and the runtime's.
_BLOCK_IO = (
    ("io_service_bytes_recursive", "ioServiceBytesRecursive"),
    ("io_serviced_recursive", "ioServicedRecursive"),
    ("io_queue_recursive", "ioQueueRecursive"),
    ("io_service_time_recursive", "ioServiceTimeRecursive"),
    ("io_wait_time_recursive", "ioWaitTimeRecursive"),
    ("io_merged_recursive", "ioMergedRecursive"),
    ("io_time_recursive", "ioTimeRecursive"),
    ("sectors_recursive", "sectorsRecursive"),
)
#: The columns of /proc/net/dev after an interface's name (net/core/net-procfs.c).
_NETWORK = {0: "rx_bytes", 1: "rx_packets", 2: "rx_errors", 3: "rx_dropped"} | {
    8: "tx_bytes",
    9: "tx_packets",
    10: "tx_errors",
    11: "tx_dropped",
}


def sample(target: Container, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a container has used until now; ``before`` is the sample before this one.

    A container that does not run has used nothing, and its moment is that before all others.

    Raises:
        NotFound: it was removed meanwhile.
    """
    found: dict[str, Any] = {
        "name": f"/{target.name}",
        "id": target.id,
        "read": clock.NEVER,
        "preread": before["read"] if before else clock.NEVER,
        "pids_stats": {},
        "blkio_stats": {name: None for name, _ in _BLOCK_IO},
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _processor({}),
        "precpu_stats": before["cpu_stats"] if before else _processor({}),
        "memory_stats": {},
    }
    repair.look_after(target)
    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
        if inner.alive():
            _count(inner, found)
    except (NotFound, FileNotFoundError, ProcessLookupError):
        return found  # it has just ended
    return found


def _count(inner: RuntimeContainer, found: dict[str, Any]) -> None:
    group = inner.cgroup()
    data = group.statistics()
    if not data["memory"].get("usage"):
        _add_processes(inner, data)
    found["read"] = clock.now()
    found["cpu_stats"] = {
        **_processor(data["cpu"]),
        "system_cpu_usage": _machine_time(),
        "online_cpus": os.sysconf("SC_NPROCESSORS_ONLN"),
    }
    found["memory_stats"] = _memory(data["memory"])
    found["pids_stats"] = {name: data["pids"][name] for name in ("current", "limit") if name in data["pids"]}
    for name, key in _BLOCK_IO:
        entries = data["blkio"].get(key)
        if entries is not None:
            found["blkio_stats"][name] = [{"major": 0, "minor": 0, "op": "", "value": 0, **entry} for entry in entries]
    networks = _networks(inner)
    if networks:
        found["networks"] = networks


def _processor(data: dict[str, Any]) -> dict[str, Any]:
    usage = data.get("usage") or {}
    throttling = data.get("throttling") or {}
    per_cpu = usage.get("percpu")
    return {
        "cpu_usage": {
            "total_usage": usage.get("total", 0),
            **({"percpu_usage": per_cpu} if per_cpu else {}),
            "usage_in_kernelmode": usage.get("kernel", 0),
            "usage_in_usermode": usage.get("user", 0),
        },
        "throttling_data": {
            "periods": throttling.get("periods", 0),
            "throttled_periods": throttling.get("throttledPeriods", 0),
            "throttled_time": throttling.get("throttledTime", 0),
        },
    }


def _memory(data: dict[str, Any]) -> dict[str, Any]:
    usage = data.get("usage") or {}
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = usage.get("limit") or machine
    return {
        "usage": usage.get("usage", 0),
        **({"max_usage": usage["max"]} if "max" in usage else {}),
        "stats": data.get("raw") or {},
        **({"failcnt": usage["failcnt"]} if usage.get("failcnt") else {}),
        "limit": min(limit, machine),
    }


def _machine_time() -> int:
    """Nanoseconds that all processors together have passed with whatever."""
    with open("/proc/stat", "rb") as file:
        words = file.readline().split()
    # What guests used is in the users' time already (proc(5)).
    return sum(map(int, words[1:8])) * (_SECOND // os.sysconf("SC_CLK_TCK"))


def _networks(inner: RuntimeContainer) -> dict[str, dict[str, int]]:
    """What went over the container's own interfaces; nothing if it has the machine's."""
    namespaces = (inner.config().get("linux") or {}).get("namespaces") or ()
    if not any(each["type"] == "network" and not each.get("path") for each in namespaces):
        return {}
    found = {}
    with open(f"/proc/{inner.pid}/net/dev", encoding="ascii", errors="replace") as file:
        for line in file:
            name, colon, rest = line.partition(":")
            numbers = rest.split()
            if colon and name.strip() != "lo" and len(numbers) > 11:
                found[name.strip()] = {word: int(numbers[place]) for place, word in _NETWORK.items()}
    return found


def _add_processes(inner: RuntimeContainer, data: dict[str, Any]) -> None:
    """Count the processes one by one, where an ordinary user's container has no control groups that would."""
    from orlop.runtime import ps

    tick = _SECOND // os.sysconf("SC_CLK_TCK")
    user = kernel = memory = 0
    pids = ps.pids(inner)
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                text = file.read()
            with open(f"/proc/{pid}/statm", "rb") as file:
                pages = file.read().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = text[text.rindex(b")") + 2 :].split()
        # With those of children that were waited for: utime, stime, cutime, cstime of proc(5).
        user += int(fields[11]) + int(fields[13])
        kernel += int(fields[12]) + int(fields[14])
        memory += int(pages[1]) * os.sysconf("SC_PAGE_SIZE")
    data["cpu"]["usage"] = {"total": (user + kernel) * tick, "kernel": kernel * tick, "user": user * tick}
    data["memory"] = {"usage": {"usage": memory, "limit": 0}, "raw": {}}
    data["pids"] = {"current": len(pids), **data["pids"]}
