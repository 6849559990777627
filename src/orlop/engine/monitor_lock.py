"""The lock that says a container has a monitor.

``<run root>/monitors/<id>`` is locked by the monitor for as long as it lives; the kernel lets go of it when
the monitor ends in whatever way. The file's text is the engine's root, because engines may share a run root.

It is an open-file-description lock (fcntl(2), Linux 3.15): unlike flock(2) it can be asked about without
being taken, so that a look at a container never gets in the way of its monitor.
"""

from __future__ import annotations

import fcntl
import os
from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location

_FLOCK = Struct("hhqqi4x")  # struct flock: l_type, l_whence, l_start, l_len, l_pid


def directory(location: Location) -> str:
    """Where the lock files are."""
    return f"{location.run_root}/monitors"


def path_of(location: Location, container_id: str) -> str:
    """A container's lock file."""
    return f"{location.run_root}/monitors/{container_id}"


def take(location: Location, container_id: str) -> int | None:
    """Become a container's monitor: the descriptor that holds the lock, or None if there is one already.

    The descriptor closes on exec. `drop` ends it.
    """
    path = path_of(location, container_id)
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            continue
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, says POSIX
            os.close(descriptor)
            return None
        if os.fstat(descriptor).st_nlink:
            os.write(descriptor, location.root.encode())
            return descriptor
        os.close(descriptor)  # dropped by its holder between our open and our lock


def drop(location: Location, container_id: str, descriptor: int) -> None:
    """End being the monitor: the file goes, and with it the lock."""
    try:
        os.unlink(path_of(location, container_id))
    except FileNotFoundError:
        pass  # the run directory was taken away; the lock is on the descriptor
    os.close(descriptor)


def is_held(location: Location, container_id: str) -> bool:
    """Whether the container has a living monitor."""
    try:
        descriptor = os.open(path_of(location, container_id), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
    finally:
        os.close(descriptor)


def every_id(location: Location) -> frozenset[str]:
    """The ids of all containers that have a monitor, or had one that was killed and is not cleared away yet."""
    try:
        return frozenset(os.listdir(directory(location)))
    except FileNotFoundError:
        return frozenset()


def wait(location: Location, container_id: str) -> None:
    """Return when the container has no monitor any more."""
    try:
        descriptor = os.open(path_of(location, container_id), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0))
    finally:
        os.close(descriptor)


def root_of(location: Location, container_id: str) -> str:
    """The engine root that a lock file belongs to; empty if it is gone or half written."""
    try:
        with open(path_of(location, container_id), "rb", buffering=0) as file:
            return os.fsdecode(file.read(8192))
    except FileNotFoundError:
        return ""
