"""What file trees take on the disk."""

from __future__ import annotations

import os

from orlop.storage import trees
from orlop.storage.snapshots.interface import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK = 512  # stat(2) counts in these whatever the file system's own size


def of_tree(path: str) -> Usage:
    """The disk space and the inodes of a directory with everything in it; files with several names count once.

    What changes meanwhile may be counted or not.

    Raises:
        OSError: it cannot be read.
        OrlopError: something is mounted in it.
    """
    top = os.open(path, _DIRECTORY)
    try:
        return of_directory(top)
    finally:
        os.close(top)


def of_directory(top: int) -> Usage:
    """As `of_tree`, of an open directory."""
    blocks = inodes = 0
    for _, status in _inodes(top):
        blocks += status.st_blocks
        inodes += 1
    return Usage(blocks * _BLOCK, inodes)


def of_difference(path: str, base: str) -> Usage:
    """What a tree takes that began as a copy of ``base`` in which all files kept their inode numbers (btrfs).

    A file that still has the number and the change time that it has in ``base`` shares everything with it; of one that
    was written to, all of it is counted.

    Raises:
        OSError: one of them cannot be read.
        OrlopError: something is mounted in it.
    """
    blocks = inodes = 0
    before = after = -1
    try:
        before = os.open(base, _DIRECTORY)
        known = {inode: status.st_ctime_ns for inode, status in _inodes(before)}
        after = os.open(path, _DIRECTORY)
        for inode, status in _inodes(after):
            if known.get(inode) != status.st_ctime_ns:
                blocks += status.st_blocks
                inodes += 1
    finally:
        for descriptor in (before, after):
            if descriptor >= 0:
                os.close(descriptor)
    return Usage(blocks * _BLOCK, inodes)


def _inodes(top: int) -> Iterator[tuple[int | tuple[int, int], os.stat_result]]:
    """Each inode of a tree once: its number, together with the device's if that is another (a subvolume within)."""
    root = os.fstat(top)
    yield root.st_ino, root
    seen: set[int | tuple[int, int]] = set()
    for _, _, _, entries in trees.walk(top):
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            inode = status.st_ino if status.st_dev == root.st_dev else (status.st_dev, status.st_ino)
            if status.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                if inode in seen:
                    continue
                seen.add(inode)
            yield inode, status
