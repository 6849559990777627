"""Remote DMA devices: ``linux.resources.rdma``, the same file in both versions (cgroup-v1/rdma.rst)."""

from __future__ import annotations

from orlop.linux.cgroup.controller import Setting, maximum, number_or_zero

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def v1(section: dict[str, dict[str, Any]], _directory: str) -> list[Setting]:
    """One line for each device, with the limits that are given for it."""
    settings = []
    for device, limits in section.items():
        words = [device]
        for name, key in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object")):
            value = number_or_zero(limits, name)
            if value is not None:
                words.append(f"{key}={maximum(value)}")
        if len(words) > 1:
            settings.append(Setting("rdma.max", " ".join(words)))
    return settings


v2 = v1
