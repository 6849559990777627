"""What a container used in all, read from its control groups after its end and before they go."""

from __future__ import annotations

import os

from orlop.errors import NotFound
from orlop.runtime.container import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.linux.cgroup.group import Group

#: Nanoseconds in what ``cpu.stat`` counts in.
_MICROSECOND = 1000


def measure(runtime_root: str, container_id: str) -> dict[str, Any]:
    """Processor time, ``cpu`` in nanoseconds, the most memory at a time, ``memory`` in bytes, and ``oom_kills``.

    What the kernel does not count for this container is left out.
    """
    found: dict[str, Any] = {}
    try:
        group = Container.load(runtime_root, container_id).cgroup()
    except NotFound:
        return found
    _add(found, "cpu", _number(group, "cpuacct", "cpuacct.usage"))
    _add(found, "memory", _number(group, "memory", "memory.max_usage_in_bytes"))
    _add(found, "oom_kills", _number(group, "memory", "memory.oom_control", "oom_kill"))
    if "cpu" not in found:
        micro = _number(group, "", "cpu.stat", "usage_usec")
        _add(found, "cpu", None if micro is None else micro * _MICROSECOND)
    if "memory" not in found:
        _add(found, "memory", _number(group, "", "memory.peak"))  # Linux 5.19
    if "oom_kills" not in found:
        _add(found, "oom_kills", _number(group, "", "memory.events", "oom_kill"))
    return found


def _add(found: dict[str, Any], name: str, value: int | None) -> None:
    if value is not None:
        found[name] = value


def _number(group: Group, controller: str, file: str, key: str = "") -> int | None:
    """The number in a file of a controller's, or the one after ``key`` in it; None if there is none."""
    directory = group.directory(controller)
    if directory is None:
        return None
    try:
        descriptor = os.open(f"{directory}/{file}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 4096).decode()
    finally:
        os.close(descriptor)
    if not key:
        return int(text)
    for line in text.split("\n"):
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return None
