"""flock on directories that come and go by renames, as those of containers, volumes and snapshots do.

Whoever prepares, uses or removes one holds the lock on it, by a descriptor: the right ends when that is closed, in whatever
way. Between its making and its locking a directory looks like one that a crash left. So both happen under a shared lock
on the directory of all of them, and `lock_abandoned` looks under an exclusive one.
"""

from __future__ import annotations

import fcntl
import os

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def hold(directory: str, how: int) -> int:
    """flock a directory that stays where it is; ``how`` is flock(2)'s.

    Raises:
        BlockingIOError: with LOCK_NB: somebody else holds it.
    """
    descriptor = os.open(directory, _DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def make(path: str) -> int:
    """Make a directory and lock it. The caller holds the shared lock on the one that it is in."""
    os.mkdir(path, 0o700)
    return hold(path, fcntl.LOCK_EX)


def begin(everything: str, path: str) -> int:
    """`make` a directory in ``everything``, as this module's text says."""
    everybody = hold(everything, fcntl.LOCK_SH)
    try:
        return make(path)
    finally:
        os.close(everybody)


def lock_abandoned(everything: str, path: str) -> int | None:
    """Lock a directory that somebody prepared and left; None if it is gone, or being prepared."""
    try:
        everybody = hold(everything, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None  # somebody is just beginning; the next command looks again
    try:
        return lock(path, wait=False)
    finally:
        os.close(everybody)


def lock(path: str, *, wait: bool = True) -> int | None:
    """Lock a directory; None if it is gone, or held by another and ``wait`` is false."""
    while True:
        try:
            descriptor = hold(path, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (FileNotFoundError, BlockingIOError):
            return None
        try:
            there = os.stat(path)
        except FileNotFoundError:
            os.close(descriptor)
            return None
        if there.st_ino == os.fstat(descriptor).st_ino:
            return descriptor
        os.close(descriptor)  # renamed, and another made in its place, while we waited
