"""Snapshots that are used before they are on the disk, and having them written there meanwhile.

Whoever unpacks layers commits them as provisional (`orlop.storage.snapshots.interface`), notes their names (`note`), and
does not wait for the disk. Somebody whom nobody waits for then has everything written and confirms them (`settle`). If that is
killed, the next who finds the note does it; if the machine goes down first, the snapshots are lost, which their records
say, and are unpacked again from the blobs, which were on the disk before they had a name. A note is only a reminder: one
that is lost costs no more than that.

A note is a file in ``unwritten/`` with a line for each snapshot. Who settles it holds flock on it; the directory is
locked to make one, and to look for those that nobody is at.
"""

from __future__ import annotations

import fcntl
import os

from orlop.linux import disk
from orlop.storage import ingest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.storage.store import Storage


def note(storage: Storage, names: Iterable[str]) -> None:
    """Remind of provisional snapshots that are to be written to the disk and confirmed.

    Raises:
        InsufficientSpace: the disk is full.
        OSError: that cannot be written down.
    """
    directory = _directory(storage)
    try:
        lock = _lock(directory)
        try:
            _write(f"{directory}/{os.urandom(8).hex()}", "".join(f"{name}\n" for name in names).encode())
        finally:
            os.close(lock)
    except OSError as error:
        raise ingest.failure(error, directory) from error


def is_waiting(storage: Storage) -> bool:
    """Whether there is a note that nobody is at."""
    directory = _directory(storage)
    for name in _names(directory):
        file = _open(f"{directory}/{name}")
        if file is not None:
            os.close(file)
            return True
    return False


def settle(storage: Storage) -> None:
    """Have what is noted written to the disk, and confirm it.

    Raises:
        OSError: something could not be written. The snapshots concerned stay provisional: how much of them is on the disk
            will never be known.
    """
    directory = _directory(storage)
    notes = _take(directory)
    names: set[str] = set()
    try:
        for file in notes.values():
            names.update(os.pread(file, os.fstat(file).st_size, 0).decode().split("\n")[:-1])
        found = storage.snapshots.provisional(names)
        if found:
            place = f"{storage.directory}/snapshots"
            try:
                disk.write_out(place)
            except OSError:
                _forget(notes)  # the kernel tells this once, and another attempt would seem to succeed
                raise
            storage.snapshots.confirm(found)
            disk.write_out(place)  # what says so, too: it would all be done again after a loss of power
        _forget(notes)
    finally:
        for file in notes.values():
            os.close(file)


def _write(path: str, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        while data:
            data = data[os.write(file, data) :]
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(file)


def _forget(notes: Iterable[str]) -> None:
    for path in notes:
        os.unlink(path)


def _take(directory: str) -> dict[str, int]:
    """Lock every note that nobody is at: descriptors by path."""
    notes: dict[str, int] = {}
    if not _names(directory):
        return notes
    lock = _lock(directory)
    try:
        for name in _names(directory):
            path = f"{directory}/{name}"
            file = _open(path)
            if file is not None:
                notes[path] = file
    finally:
        os.close(lock)
    return notes


def _open(path: str) -> int | None:
    """Lock a note; None if it is gone, or somebody is at it."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_nlink:
            return file
    except BlockingIOError:
        pass  # whoever is at it sees to it
    os.close(file)
    return None


def _lock(directory: str) -> int:
    """flock the directory, which is made if there is none, until the descriptor is closed."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        descriptor = os.open(directory, flags)
    except FileNotFoundError:
        os.makedirs(directory, 0o700, exist_ok=True)
        descriptor = os.open(directory, flags)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _directory(storage: Storage) -> str:
    return f"{storage.directory}/unwritten"
