"""Block devices: ``linux.resources.blockIO`` (cgroup-v1/blkio-controller.rst, cgroup-v2.rst "IO")."""

from __future__ import annotations

import os

from orlop.errors import InvalidConfig, Unsupported
from orlop.linux.cgroup.controller import Setting, number, number_or_zero

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_THROTTLES = (
    ("throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"),
    ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"),
    ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"),
    ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"),
)


def v1(section: dict[str, Any], directory: str) -> list[Setting]:
    """Weights go to CFQ's files, or to BFQ's where the kernel (since 5.0) only has those."""
    bfq = not os.path.exists(directory + "/blkio.weight") and os.path.exists(directory + "/blkio.bfq.weight")
    prefix = "blkio.bfq." if bfq else "blkio."
    settings = []
    weight = number(section, "weight")
    if weight is not None:
        settings.append(Setting(prefix + "weight", str(weight)))
    leaf = number(section, "leafWeight")
    if leaf is not None:
        settings.append(Setting("blkio.leaf_weight", str(leaf)))
    for entry in _entries(section, "weightDevice"):
        device = _device(entry, "weightDevice")
        for name, target in (("weight", prefix + "weight_device"), ("leafWeight", "blkio.leaf_weight_device")):
            value = number(entry, name)
            if value is not None:
                settings.append(Setting(target, f"{device} {value}"))
    for name, target, _ in _THROTTLES:
        for entry in _entries(section, name):
            rate = _rate(entry, name)
            settings.append(Setting(target, f"{_device(entry, name)} {rate}", unlimited=rate == 0))
    return settings


def v2(section: dict[str, Any], directory: str) -> list[Setting]:
    """Weights go to BFQ's file, which has version 1's range, else to ``io.weight``; rates to ``io.max``."""
    bfq = os.path.exists(directory + "/io.bfq.weight")
    target = "io.bfq.weight" if bfq else "io.weight"
    settings = []
    weight = number(section, "weight")
    if weight is not None:
        settings.append(Setting(target, str(weight if bfq else weight_to_v2(weight))))
    devices = _entries(section, "weightDevice")
    if number(section, "leafWeight") is not None or any(number(entry, "leafWeight") is not None for entry in devices):
        raise Unsupported("linux.resources: blockIO.leafWeight exists on cgroup v1 only, and this machine has v2")
    for entry in devices:
        weight = number(entry, "weight")
        if weight is not None:
            value = weight if bfq else weight_to_v2(weight)
            settings.append(Setting(target, f"{_device(entry, 'weightDevice')} {value}"))
    for name, _, key in _THROTTLES:
        for entry in _entries(section, name):
            rate = _rate(entry, name)
            text = str(rate) if rate else "max"
            settings.append(Setting("io.max", f"{_device(entry, name)} {key}={text}", unlimited=rate == 0))
    return settings


def weight_to_v2(weight: int) -> int:
    """The ``io.weight`` (1 to 10000) for a version 1 weight (10 to 1000), on a straight line."""
    if not 10 <= weight <= 1000:
        raise InvalidConfig(f"linux.resources: a blockIO weight must be 10 to 1000, not {weight}")
    return 1 + (weight - 10) * 9999 // 990


def _entries(section: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return section.get(name) or []


def _rate(entry: dict[str, Any], name: str) -> int:
    rate = number_or_zero(entry, "rate")
    if rate is None or rate < 0:
        raise InvalidConfig(f"linux.resources: an entry of blockIO.{name} needs a rate, 0 for none: {entry!r}")
    return rate


def _device(entry: dict[str, Any], name: str) -> str:
    major = number_or_zero(entry, "major")
    minor = number_or_zero(entry, "minor")
    if major is None or minor is None:
        raise InvalidConfig(f"linux.resources: an entry of blockIO.{name} needs major and minor: {entry!r}")
    return f"{major}:{minor}"
