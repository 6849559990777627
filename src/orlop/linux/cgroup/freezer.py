"""Stopping all processes of a group at once, and letting them go on.

The unified hierarchy's freezer (Linux 5.2) is preferred where there is one: it tells when it is done, and
a frozen process can still be killed. Version 1's freezer needs to be asked again and again, and holds
even a process that was killed.
"""

from __future__ import annotations

import errno
import os
import select
import time

from orlop.errors import Unsupported
from orlop.linux.cgroup import file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.cgroup.group import Group

#: How long a group may take to freeze, in seconds: a process in an uninterruptible call delays it.
PATIENCE = 10.0
_PAUSE = 0.0005
_LONGEST_PAUSE = 0.01
# The version 1 freezer can get stuck while processes fork; thawing it for a moment in between helps
# (the kernel's freezer-subsystem.rst says that a busy group may never get there by itself).
_TRIES_BEFORE_A_THAW = 50


def frozen(group: Group) -> bool:
    """Whether either freezer is set."""
    unified, v1 = _files(group)
    if unified is not None and file.read_if_there(unified) == "1":
        return True
    return v1 is not None and file.read_if_there(v1) in ("FROZEN", "FREEZING")


def freeze(group: Group, patience: float = PATIENCE) -> None:
    """Freeze the group with the best freezer that it has; see `Group.freeze`."""
    unified, v1 = _files(group)
    if unified is not None:
        _freeze_unified(unified, patience)
    elif v1 is not None:
        _freeze_v1(v1, patience)
    elif group.hierarchies:
        raise Unsupported("cannot freeze: neither cgroup v2 nor the v1 controller freezer (freezer.state) is mounted")
    else:
        raise Unsupported("cannot freeze: this container has no cgroup, which needs privileges or delegation here")


def thaw(group: Group) -> None:
    """Thaw both freezers, whichever of them was set."""
    unified, v1 = _files(group)
    if unified is not None:
        file.write(unified, "0")
    thaw_v1(v1)


def thaw_v1(state_file: str | None) -> None:
    """Thaw the version 1 freezer if it is set."""
    if state_file is not None and file.read_if_there(state_file) in ("FROZEN", "FREEZING"):
        file.write(state_file, "THAWED")


def v1_file(group: Group) -> str | None:
    """The group's ``freezer.state``, if it has the controller."""
    directory = group.directory("freezer")
    return None if directory is None else directory + "/freezer.state"


def _files(group: Group) -> tuple[str | None, str | None]:
    directory = group.directory("")
    unified = None if directory is None else directory + "/cgroup.freeze"
    v1 = v1_file(group)
    if v1 is not None and unified is not None and not os.path.exists(unified):
        unified = None  # before Linux 5.2
    return unified, v1


def _freeze_unified(path: str, patience: float) -> None:
    file.write(path, "1")
    events = os.open(path.removesuffix("freeze") + "events", os.O_RDONLY | os.O_CLOEXEC)
    try:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        deadline = time.monotonic() + patience
        while b"frozen 1" not in os.pread(events, 4096, 0):
            left = deadline - time.monotonic()
            if left <= 0:
                file.write(path, "0")
                raise TimeoutError(errno.ETIMEDOUT, "freeze: a process does not stop", path)
            poll.poll(left * 1000)
    finally:
        os.close(events)


def _freeze_v1(path: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    pause = _PAUSE
    tries = 0
    while True:
        file.write(path, "FROZEN")
        if file.read(path) == "FROZEN":
            return
        if time.monotonic() > deadline:
            file.write(path, "THAWED")
            raise TimeoutError(errno.ETIMEDOUT, "freeze: a process does not stop", path)
        tries += 1
        if tries % _TRIES_BEFORE_A_THAW == 0:
            file.write(path, "THAWED")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
