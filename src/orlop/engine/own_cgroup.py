"""The cgroup of a launcher and its monitors: their own, so that the caller's limits and end are not theirs.

``/orlop/launcher-<pid>``, or ``/orlop/monitor-<pid>`` for a monitor without a launcher, beside the containers'.
Whoever leaves last removes it; what killed processes left is swept by the next one that comes or goes.
"""

from __future__ import annotations

import os

from orlop.errors import OrlopError
from orlop.linux import cgroup, procfs

_PARENT = "/orlop"
_OURS = ("launcher-", "monitor-", "service-")


def _layout() -> cgroup.Layout:
    """The hierarchies to move in: where there are any of version 1, those alone.

    They carry the limits, and who ends a service or a session there looks in them (systemd's is one). A move in the
    unified one takes the kernel's lock on all processes, 5 to 15 ms in which no container starts.
    """
    found = cgroup.detect()
    return cgroup.Layout(found.v1, None) if found.v1 else found


def enter(role: str) -> None:
    """Move the calling, single-threaded process to a cgroup of its own; where none can be made, stay.

    ``role`` is ``launcher``, ``monitor`` or ``service``. It takes the kernel one or two milliseconds.
    """
    try:
        group = _layout().group(f"{_PARENT}/{role}-{os.getpid()}")
        group.create()  # without device rules: a monitor opens what its container was given
        for descriptor in group.join_files():
            try:
                os.write(descriptor, b"0")
            finally:
                os.close(descriptor)
    except (OSError, OrlopError):
        return  # an ordinary user, or read-only cgroups as in a container: the caller's is as good as any


def leave() -> None:
    """Move the calling process to the top again, and remove what then is empty."""
    try:
        for hierarchy in _layout().group(_PARENT).hierarchies:
            # `tasks` where there is one: it spares the kernel's lock on all processes, and we have one thread.
            name = "tasks" if hierarchy.version == 1 else "cgroup.procs"
            descriptor = os.open(f"{hierarchy.directory('/')}/{name}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, b"0")
            finally:
                os.close(descriptor)
    except OSError:
        return  # `enter` could not either
    for hierarchy in _layout().group(_PARENT).hierarchies:
        for role in _OURS:
            _remove(f"{hierarchy.directory(_PARENT)}/{role}{os.getpid()}")
    sweep()


def sweep() -> None:
    """Remove such cgroups that have no process any more, and ``/orlop`` if that was all there was in it."""
    for hierarchy in _layout().group(_PARENT).hierarchies:
        directory = hierarchy.directory(_PARENT)
        try:
            names = os.listdir(directory)
        except OSError:
            continue  # never made
        for name in names:
            if name.startswith(_OURS) and not _is_alive(name.partition("-")[2]):  # who may be about to enter it
                _remove(f"{directory}/{name}")
        _remove(directory)


def _is_alive(pid: str) -> bool:
    process = procfs.stat(int(pid)) if pid.isdigit() else None
    return process is not None and process.state not in "ZX"


def _remove(directory: str) -> None:
    try:
        os.rmdir(directory)
    except OSError:
        return  # somebody is in it
