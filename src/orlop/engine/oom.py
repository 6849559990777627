"""Whether the kernel ended a container for its memory limit."""

from __future__ import annotations

import os

from orlop.errors import NotFound
from orlop.runtime.container import Container


def happened(runtime_root: str, container_id: str) -> bool:
    """Whether a process of the container's cgroup was killed for lack of memory."""
    try:
        group = Container.load(runtime_root, container_id).cgroup()
    except NotFound:
        return False
    for controller, name in (("memory", "memory.oom_control"), ("", "memory.events")):  # version 1, version 2
        directory = group.directory(controller)
        if directory is None:
            continue
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
