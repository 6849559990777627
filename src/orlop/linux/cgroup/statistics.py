"""What a group has used, in the shape of ``data`` in ``runc events --stats``.

Engines read these numbers from the runtime's output, so names, units (nanoseconds, bytes) and which keys
are left out when zero follow runc's. Controllers that the machine lacks have empty entries.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.linux.cgroup.group import Group


def collect(group: Group) -> dict[str, Any]:
    """The statistics of a group, each controller from the version that it is in."""
    from orlop.linux.cgroup import statistics_v1, statistics_v2

    data: dict[str, Any] = {"cpu": {}, "cpuset": {}, "memory": {}, "pids": {}, "blkio": {}, "hugetlb": {}}
    unified = group.directory("")
    if unified is not None:
        # On hybrid the unified hierarchy counts time for everybody, but not what version 1 controllers do.
        statistics_v2.add(data, unified, pressure_only=bool(group.layout.v1))
    for hierarchy in group.layout.v1:
        directory = hierarchy.directory(group.path)
        if os.path.isdir(directory):
            for controller in hierarchy.controllers:
                statistics_v1.add(data, controller, directory)
    return data
