"""Limits of processors, memory, devices' traffic and processes, as Docker words and checks them."""

from __future__ import annotations

import os
import stat

from orlop.errors import InvalidArgument, InvalidConfig, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from orlop.engine.settings import Settings

_LEAST_MEMORY = 6 << 20
_LEAST_PERIOD, _MOST_PERIOD = 1000, 1_000_000  # microseconds
_CAP_SYS_RESOURCE = 24

#: Docker's lists of limits for single devices: the specification's name for each, and its key for the number.
_PER_DEVICE = {
    "BlkioWeightDevice": ("weightDevice", "Weight", "weight"),
    "BlkioDeviceReadBps": ("throttleReadBpsDevice", "Rate", "rate"),
    "BlkioDeviceWriteBps": ("throttleWriteBpsDevice", "Rate", "rate"),
    "BlkioDeviceReadIOps": ("throttleReadIOPSDevice", "Rate", "rate"),
    "BlkioDeviceWriteIOps": ("throttleWriteIOPSDevice", "Rate", "rate"),
}


def memory_and_swap(limit: int) -> int | None:
    """What memory and swap together are limited to where only memory is: Docker's double, if the kernel counts swap."""
    counts = os.path.exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes") or (
        os.path.exists("/sys/fs/cgroup/cgroup.controllers") and os.path.exists("/proc/swaps")
    )
    return limit * 2 if counts else None


def apply(resources: dict[str, Any], settings: Settings) -> bool:
    """Add what the settings ask for to ``linux.resources``; whether that takes a control group.

    Raises:
        InvalidArgument: limits that cannot be right, or that contradict each other.
    """
    memory = _memory(settings)
    if memory:
        resources.setdefault("memory", {}).update(memory)
    cpu = _cpu(settings)
    if cpu:
        resources.setdefault("cpu", {}).update(cpu)
    block_io = _block_io(settings.block_io or {})
    if block_io:
        resources["blockIO"] = block_io
    return bool(memory or cpu or block_io)


def _memory(settings: Settings) -> dict[str, Any]:
    """Docker's rules, and its words for what breaks them (verifyPlatformContainerResources)."""
    limit = settings.memory or 0
    swap, reservation, swappiness = settings.memory_swap, settings.memory_reservation, settings.memory_swappiness
    found: dict[str, Any] = {}
    if swap and not limit:
        raise InvalidArgument("you should always set the memory limit when using the memory-swap limit")
    if limit and swap > 0 and swap < limit:
        raise InvalidArgument("minimum memory-swap limit should be larger than memory limit")
    if swap:
        found["swap"] = swap
    if swappiness is not None and swappiness != -1:
        if not 0 <= swappiness <= 100:
            raise InvalidArgument(f"invalid value: {swappiness}, valid memory swappiness range is 0-100")
        found["swappiness"] = swappiness
    if reservation:
        if reservation < _LEAST_MEMORY:
            raise InvalidArgument("minimum memory reservation allowed is 6MB")
        if limit and limit < reservation:
            raise InvalidArgument("minimum memory limit can not be less than memory reservation limit")
        found["reservation"] = reservation
    if settings.oom_kill_disable:
        found["disableOOMKiller"] = True
    return found


def _cpu(settings: Settings) -> dict[str, Any]:
    period, quota = settings.cpu_period, settings.cpu_quota
    if settings.nano_cpus and period:
        raise InvalidArgument("conflicting options: nano CPUs and CPU period cannot both be set")
    if settings.nano_cpus and quota:
        raise InvalidArgument("conflicting options: nano CPUs and CPU quota cannot both be set")
    if period and not _LEAST_PERIOD <= period <= _MOST_PERIOD:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < _LEAST_PERIOD:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if settings.cpu_shares < 0:
        raise InvalidArgument(f"invalid value: {settings.cpu_shares}, CPU shares can not be negative")
    real_time = settings.cpu_realtime_runtime
    if real_time and settings.cpu_realtime_period and real_time > settings.cpu_realtime_period:
        raise InvalidArgument("cpu real-time runtime cannot be higher than cpu real-time period")
    for wanted, kind in ((settings.cpuset_cpus, "CPUs"), (settings.cpuset_mems, "memory nodes")):
        if wanted:
            _check_available(wanted, kind)
    found = {
        "shares": settings.cpu_shares,
        "period": period,
        "quota": quota,
        "realtimePeriod": settings.cpu_realtime_period,
        "realtimeRuntime": real_time,
        "cpus": settings.cpuset_cpus,
        "mems": settings.cpuset_mems,
    }
    return {name: value for name, value in found.items() if value}


def check_processors(nano_cpus: int) -> None:
    """Refuse more processors than there are, which would be no limit.

    Raises:
        InvalidArgument: as said.
    """
    there = os.cpu_count() or 1
    if not 10_000_000 <= nano_cpus <= there * 1_000_000_000:
        raise InvalidArgument(f"range of CPUs is from 0.01 to {there}.00, as there are only {there} CPUs available")


def _check_available(wanted: str, kind: str) -> None:
    from orlop.runtime.spec.number_list import parse

    text = _online("/sys/devices/system/cpu/online" if kind == "CPUs" else "/sys/devices/system/node/online")
    try:
        numbers = parse(wanted, f"invalid value for cpuset {kind}:")
    except InvalidConfig as error:
        raise InvalidArgument(str(error)) from None
    if not set(numbers) <= set(parse(text, kind)):
        raise InvalidArgument(f"requested {kind} are not available - requested {wanted}, available: {text}")


def _online(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return "0"  # a kernel without NUMA has one node


def _block_io(wanted: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    weight = wanted.get("BlkioWeight") or 0
    if weight:
        if not 10 <= weight <= 1000:
            raise InvalidArgument("range of blkio weight is from 10 to 1000")
        found["weight"] = weight
    for name, (key, theirs, ours) in _PER_DEVICE.items():
        entries = [_for_device(each["Path"], each[theirs], ours) for each in wanted.get(name) or ()]
        if entries:
            found[key] = entries
    return found


def _for_device(path: str, value: int, key: str) -> dict[str, int]:
    if key == "weight" and not 10 <= value <= 1000:
        raise InvalidArgument(f"invalid weight {value} for device {path}: the range is from 10 to 1000")
    try:
        about = os.stat(path)
    except OSError as error:
        raise InvalidArgument(f"cannot limit the device {path}: {error.strerror}") from None
    if not stat.S_ISBLK(about.st_mode):
        raise InvalidArgument(f"cannot limit the device {path}: it is no block device")
    return {"major": os.major(about.st_rdev), "minor": os.minor(about.st_rdev), key: value}


def limits(ulimits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``process.rlimits`` from Docker's ``Ulimits``; of two for one resource the last one counts.

    Raises:
        InvalidArgument: there is no such resource, or the soft limit is above the hard one.
        Unsupported: the hard limit is above ours, and we have not got the right to raise it.
    """
    import resource

    from orlop.linux.rlimit import NUMBERS

    found = {}
    for each in ulimits:
        name, soft, hard = each["Name"], int(each["Soft"]), int(each["Hard"])
        kind = f"RLIMIT_{name.upper()}"
        if kind not in NUMBERS:
            raise InvalidArgument(f"invalid ulimit type: {name}")
        if hard != -1 and (soft == -1 or soft > hard):
            raise InvalidArgument(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
        ours = resource.getrlimit(NUMBERS[kind])[1]
        if ours != resource.RLIM_INFINITY and (hard == -1 or hard > ours) and not _may_raise():
            raise Unsupported(
                f"ulimit {name}={soft}:{hard} is more than this machine allows here ({ours}), "
                "and raising that takes CAP_SYS_RESOURCE"
            )
        found[kind] = {"type": kind, "soft": soft & (1 << 64) - 1, "hard": hard & (1 << 64) - 1}
    return list(found.values())


def oom_score_adjustment(value: int) -> int:
    """``process.oomScoreAdj``.

    Raises:
        InvalidArgument: it is out of range.
        Unsupported: it is below ours, and we have not got the right to lower it.
    """
    if not -1000 <= value <= 1000:
        raise InvalidArgument(f"invalid value {value}, range for oom score adj is [-1000, 1000]")
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        ours = int(file.read())
    if value < ours and not _may_raise():
        raise Unsupported(f"an OOM score adjustment of {value} is below ours ({ours}), and takes CAP_SYS_RESOURCE")
    return value


def _may_raise() -> bool:
    with open("/proc/self/status", "rb", buffering=0) as file:
        text = file.read()
    return bool(int(text.partition(b"CapEff:")[2].split(None, 1)[0], 16) >> _CAP_SYS_RESOURCE & 1)
