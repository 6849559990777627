"""What file trees take on the disk."""

from __future__ import annotations

import os

from orlop.storage import trees
from orlop.storage.snapshots.interface import Usage

_BLOCK = 512  # stat(2) counts in these whatever the file system's own size


def of_tree(path: str) -> Usage:
    """The disk space and the inodes of a directory with everything in it; files with several names count once.

    What changes meanwhile may be counted or not.

    Raises:
        OSError: it cannot be read.
        OrlopError: something is mounted in it.
    """
    found = _inodes(path)
    return Usage(sum(status.st_blocks for status in found.values()) * _BLOCK, len(found))


def of_difference(path: str, base: str) -> Usage:
    """What a tree takes that began as a copy of ``base`` in which all files kept their inode numbers (btrfs).

    A file that still has the number, size and change time that it has in ``base`` shares everything with it; of one that
    was written to, all of it is counted.

    Raises:
        OSError: one of them cannot be read.
    """
    known = {inode: _state(status) for inode, status in _inodes(base).items()}
    size = inodes = 0
    for inode, status in _inodes(path).items():
        if known.get(inode) != _state(status):
            size += status.st_blocks * _BLOCK
            inodes += 1
    return Usage(size, inodes)


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_ctime_ns


def _inodes(path: str) -> dict[tuple[int, int], os.stat_result]:
    """All inodes of a tree, by number and by the device if that is not the root directory's (a subvolume within)."""
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        root = os.fstat(top)
        found = {(0, root.st_ino): root}
        for _, _, _, entries in trees.walk(top):
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                found[0 if status.st_dev == root.st_dev else status.st_dev, status.st_ino] = status
    finally:
        os.close(top)
    return found
