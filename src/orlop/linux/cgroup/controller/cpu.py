"""Processor time: the part of ``linux.resources.cpu`` that the controller ``cpu`` has.

See sched-bwc.rst and sched-rt-group.rst of the kernel, and cgroup-v2.rst, "CPU".
"""

from __future__ import annotations

from orlop.errors import InvalidConfig, Unsupported
from orlop.linux.cgroup import file
from orlop.linux.cgroup.controller import Setting, number, number_or_zero

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What version 1 lets ``cpu.shares`` be; it takes other values as the nearest of these without a word.
SHARES = (2, 262144)
_WEIGHT = (1, 10000)


def v1(section: dict[str, Any], _directory: str) -> list[Setting]:
    """Shares, bandwidth, real-time budget, idle.

    Period and quota are two files, and the kernel refuses a pair that exceeds the parent's share at any
    moment: so the period is tried before the quota and, if refused, after it.
    """
    settings = []
    idle = number_or_zero(section, "idle")
    shares = number(section, "shares")
    if shares is not None:
        if not SHARES[0] <= shares <= SHARES[1]:
            raise InvalidConfig(f"linux.resources: cpu.shares must be {SHARES[0]} to {SHARES[1]}, not {shares}")
        settings.append(Setting("cpu.shares", str(shares)))
    _insert_idle(settings, idle)
    quota = _quota(section)
    for name, target in (("period", "cpu.cfs_period_us"), ("burst", "cpu.cfs_burst_us")):
        value = number(section, name) if name == "period" else number_or_zero(section, name)
        if value is not None:
            settings.append(Setting(target, str(value), unlimited=value == 0, again=quota is not None))
    if quota is not None:
        settings.append(Setting("cpu.cfs_quota_us", str(quota), unlimited=quota < 0))
    runtime = number(section, "realtimeRuntime")
    period = number(section, "realtimePeriod")
    if period is not None:
        settings.append(Setting("cpu.rt_period_us", str(period), again=runtime is not None))
    if runtime is not None:
        settings.append(Setting("cpu.rt_runtime_us", str(runtime)))
    return settings


def v2(section: dict[str, Any], directory: str) -> list[Setting]:
    """Weight, ``cpu.max`` (quota and period in one file, of which the one not given stays), burst, idle."""
    for name in ("realtimeRuntime", "realtimePeriod"):
        if number(section, name) is not None:
            raise Unsupported(f"linux.resources: cpu.{name} exists on cgroup v1 only, and this machine has v2")
    settings = []
    shares = number(section, "shares")
    if shares is not None:
        settings.append(Setting("cpu.weight", str(shares_to_weight(shares))))
    _insert_idle(settings, number_or_zero(section, "idle"))
    quota = _quota(section)
    period = number(section, "period")
    burst = number_or_zero(section, "burst")
    if burst is not None:
        settings.append(Setting("cpu.max.burst", str(burst), unlimited=burst == 0, again=quota is not None))
    if quota is not None or period is not None:
        now = (file.read_if_there(directory + "/cpu.max") or "max 100000").split()
        text = now[0] if quota is None else "max" if quota < 0 else str(quota)
        settings.append(Setting("cpu.max", f"{text} {now[1] if period is None else period}", unlimited=text == "max"))
    return settings


def shares_to_weight(shares: int) -> int:
    """The version 2 weight (1 to 10000) for version 1 shares (2 to 262144).

    A parabola on logarithmic scales through both minima, both maxima and both defaults (1024 and 100), as
    runc and crun have used it since 2025, so that one configuration weighs the same under every runtime.
    """
    if shares <= SHARES[0]:
        return _WEIGHT[0]
    if shares >= SHARES[1]:
        return _WEIGHT[1]
    import math  # a shared object of its own, and only version 2 needs it

    power = math.log2(shares)
    exponent = (power * power + 125 * power) / 612 - 7 / 34
    return math.ceil(round(10**exponent, 9))  # 1024 must give 100, not the 101 of 100.00000000000001


def _quota(section: dict[str, Any]) -> int | None:
    quota = number(section, "quota")
    return quota if quota is None or quota > 0 else -1


def _insert_idle(settings: list[Setting], idle: int | None) -> None:
    """An idle group takes no weight: leave idleness before setting one, enter it after."""
    if idle is None:
        return
    if idle not in (0, 1):
        raise InvalidConfig(f"linux.resources: cpu.idle must be 0 or 1, not {idle}")
    settings.insert(len(settings) if idle else 0, Setting("cpu.idle", str(idle), unlimited=idle == 0))
