"""Signalling every process of a group, so that none escapes by forking."""

from __future__ import annotations

import errno
import os
import time

from orlop.linux.cgroup import file, freezer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.cgroup.group import Group

_SIGKILL = 9
_PAUSE = 0.001
_ROUNDS = 1000


def kill(group: Group, signal: int) -> None:
    """Signal all processes; see `Group.kill`."""
    if signal == _SIGKILL:
        _kill_unified(group)
        # Whoever is only in the version 1 hierarchies, or was frozen there, is left.
        freezer.thaw_v1(freezer.v1_file(group))
        if group.layout.v1:
            _signal_the_rest(group)
        return
    was_frozen = freezer.frozen(group)
    can_freeze = group.layout.unified is not None or freezer.v1_file(group) is not None
    if can_freeze and not was_frozen:
        freezer.freeze(group)
    try:
        _signal(group.pids(), signal)
    finally:
        if can_freeze and not was_frozen:
            freezer.thaw(group)


def _kill_unified(group: Group) -> None:
    directory = group.directory("")
    if directory is None:
        return
    try:
        file.write(directory + "/cgroup.kill", "1")  # Linux 5.14; also ends what is being forked
    except FileNotFoundError:
        if not group.layout.v1:
            _signal_the_rest(group)
    except OSError as error:
        if error.errno not in (errno.ENODEV, errno.EOPNOTSUPP):
            raise


def _signal_the_rest(group: Group) -> None:
    """Kill until nobody is left but the dying: without the unified hierarchy, forks race with the list."""
    signalled: set[int] = set()
    state = freezer.v1_file(group)
    for _ in range(_ROUNDS):
        pids = [pid for pid in group.pids() if pid not in signalled and not _dying(pid)]
        if not pids:
            return
        if state is not None and os.path.exists(state):
            file.write(state, "FROZEN")
        try:
            pids = group.pids()
            _signal(pids, _SIGKILL)
        finally:
            if state is not None and os.path.exists(state):
                file.write(state, "THAWED")
        signalled.update(pids)
        time.sleep(_PAUSE)


def _dying(pid: int) -> bool:
    """Whether SIGKILL is already pending for a process, or it is gone."""
    text = file.read_if_there(f"/proc/{pid}/status")
    if text is None:
        return True
    for line in text.split("\n"):
        if line.startswith("State:") and line.split()[1] in ("Z", "X"):
            return True
        if line.startswith(("SigPnd:", "ShdPnd:")) and int(line.split()[1], 16) & 1 << (_SIGKILL - 1):
            return True
    return False


def _signal(pids: list[int], signal: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal)
        except ProcessLookupError:
            continue  # it ended meanwhile
