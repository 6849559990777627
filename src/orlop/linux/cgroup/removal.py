"""Removing a cgroup that is not empty yet: its cgroups first, then waiting for its last processes."""

from __future__ import annotations

import errno
import os
import select
import time

from orlop.linux import pidfd
from orlop.linux.cgroup import file, tree

#: How long to wait for the last processes, in seconds.
PATIENCE = 10.0
# A process leaves its cgroup a little before or after its pidfd says that it has ended, and the kernel
# tells neither on version 1, so that the rmdir is tried again after this many seconds.
_PAUSE = 0.0005
_LONGEST_PAUSE = 0.02


def remove_busy(directory: str, patience: float = PATIENCE) -> None:
    """Remove a cgroup and those below it, waiting until the processes in them have ended. Ends none itself.

    Raises:
        OSError: EBUSY, naming a process that is still there after ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    pause = _PAUSE
    while True:
        busy = _remove_once(directory)
        if busy is None:
            return
        left = deadline - time.monotonic()
        where, pids = busy
        if left <= 0:
            who = f"process {pids[0]} is in it" if pids else "it is in use"
            raise OSError(errno.EBUSY, f"rmdir: {who}", where)
        if not pids or not _wait_for(pids[0], left):
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)


def _remove_once(directory: str) -> tuple[str, list[int]] | None:
    """Remove what can be; return the first cgroup that could not, and the processes in it."""
    for below in tree.each_below(directory):
        if not _remove(below.name, below.parent):
            return below.path, file.pids_in(below.name, parent=below.parent)
    return None if _remove(directory) else (directory, file.pids_in(directory))


def _remove(directory: str, parent: int | None = None) -> bool:
    """Remove one cgroup; False if it is busy."""
    try:
        os.rmdir(directory, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.ENOTEMPTY):
            return False
        if error.errno != errno.ENOENT:
            raise
    return True


def _wait_for(pid: int, seconds: float) -> bool:
    """Wait until a process has ended; False if it already had, so that there was nothing to wait for."""
    try:
        descriptor = pidfd.open_process(pid)
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.EINVAL, errno.ENOSYS):  # EINVAL: it is a thread
            return False
        raise
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        started = time.monotonic()
        poll.poll(seconds * 1000)
        return time.monotonic() - started > _PAUSE
    finally:
        os.close(descriptor)
