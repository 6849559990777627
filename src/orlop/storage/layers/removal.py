"""Removing a directory with all that is in it, however deep it is, without following any link."""

from __future__ import annotations

import os
import stat

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(parent: int, name: bytes) -> None:
    """Remove directory ``name`` in the directory that ``parent`` is open on; nobody else changes it meanwhile.

    One directory is open at a time: the way up is by ``..``.

    Raises:
        OSError: something cannot be removed.
    """
    directory = os.open(name, _OPEN, dir_fd=parent)
    try:
        #: For each level above the present one, its name there and the subdirectories that are still to be removed.
        levels: list[tuple[bytes, list[bytes]]] = []
        waiting = _empty(directory)
        while True:
            if waiting:
                below = waiting.pop()
                levels.append((below, waiting))
                directory = _move(directory, below)
                waiting = _empty(directory)
            elif levels:
                below, waiting = levels.pop()
                directory = _move(directory, b"..")
                os.rmdir(below, dir_fd=directory)
            else:
                break
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=parent)


def _move(directory: int, name: bytes) -> int:
    following = os.open(name, _OPEN, dir_fd=directory)
    os.close(directory)
    return following


def _empty(directory: int) -> list[bytes]:
    """Unlink what is no directory; returns the names of the subdirectories."""
    below = []
    for text in os.listdir(directory):
        name = os.fsencode(text)
        if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            below.append(name)
        else:
            os.unlink(name, dir_fd=directory)
    return below
