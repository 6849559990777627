"""Whether the kernel ended a container for its memory limit."""

from __future__ import annotations

import os

from orlop.errors import NotFound
from orlop.runtime.container import Container


def happened(runtime_root: str, container_id: str) -> bool:
    """Whether a process of the container's cgroup was killed for lack of memory."""
    try:
        directory = Container.load(runtime_root, container_id).cgroup().directory("memory")
    except (NotFound, KeyError):
        return False
    if directory is None:
        return False
    for name in ("memory.events", "memory.oom_control"):  # version 2, version 1
        try:
            descriptor = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            lines = os.read(descriptor, 4096).decode().split("\n")
        finally:
            os.close(descriptor)
        return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)
    return False
