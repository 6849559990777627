"""Which files of a tree are one file under several names, and are so no longer as they were in the parent.

A layer has all names of such a file or none: a hard link to a file of a layer below could not be unpacked by itself.
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.linux import path as paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.storage.layers.comparison import Comparison

#: A file, whatever it is called: device and inode number.
Inode = tuple[int, int]

_BENEATH = paths.RESOLVE_BENEATH | paths.RESOLVE_NO_SYMLINKS | paths.RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

#: The way to it has changed since it was listed, or is too long to be said at once.
_UNREACHABLE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def inode(about: os.stat_result) -> Inode:
    """Which file this is."""
    return about.st_dev, about.st_ino


def open_directory(root: int, path: bytes) -> int:
    """Open a directory below ``root`` by its path, through no link.

    Raises:
        OSError: it is not there.
    """
    return paths.open_at(root, os.fsdecode(path) or ".", _DIRECTORY, resolve=_BENEATH)


class HardLinks:
    """What is known of the files with several names in a tree that has a parent."""

    __slots__ = ("_comparison", "_differs", "_root", "_root_of_parent", "_taken")

    def __init__(self, root: int, parent: int, comparison: Comparison) -> None:
        self._root = root
        self._root_of_parent = parent
        self._comparison = comparison
        self._differs: dict[Inode, bool] = {}
        #: The parent's files that are known to be a file of the tree.
        self._taken: set[Inode] = set()
        for file, names in sorted(_groups(root).items(), key=lambda group: group[1]):
            if len(names) > 1:
                self._differs[file] = not self._is_same(names)

    def differs(self, about: os.stat_result) -> bool | None:
        """Whether all names of this file belong into a layer; None if it has just one, and is to be compared itself."""
        if about.st_nlink == 1:
            return None
        return self._differs.get(inode(about))

    def is_split(self, before: os.stat_result) -> bool:
        """Whether a file with one name, which is the same as the parent's, had more names that are another file now."""
        return before.st_nlink > 1 and not self._take(before)

    def _take(self, before: os.stat_result) -> bool:
        file = inode(before)
        if file in self._taken:
            return False
        self._taken.add(file)
        return True

    def _is_same(self, names: list[bytes]) -> bool:
        """Whether the names are those of one file in the parent too, and it is the same."""
        first = None
        for path in names:
            try:
                handle = paths.open_at(
                    self._root_of_parent, os.fsdecode(path), os.O_PATH | os.O_NOFOLLOW, resolve=_BENEATH
                )
            except OSError as error:
                if error.errno not in _UNREACHABLE:
                    raise
                return False
            try:
                before = os.fstat(handle)
            finally:
                os.close(handle)
            if first is None:
                first = before
            elif inode(first) != inode(before):
                return False
        return first is not None and self._compare(names[0], first) and self._take(first)

    def _compare(self, path: bytes, before: os.stat_result) -> bool:
        directory, _, name = path.rpartition(b"/")
        try:
            holder = open_directory(self._root, directory)
            try:
                other = open_directory(self._root_of_parent, directory)
                try:
                    about = os.lstat(name, dir_fd=holder)
                    return self._comparison.same(about, holder, before, other, name)
                finally:
                    os.close(other)
            finally:
                os.close(holder)
        except OSError as error:
            if error.errno not in _UNREACHABLE:
                raise
            return False


def _groups(root: int) -> dict[Inode, list[bytes]]:
    """The names that were found, in the order of their bytes, of each file that has several."""
    groups: dict[Inode, list[bytes]] = {}
    waiting = [b""]
    while waiting:
        path = waiting.pop()
        try:
            directory = open_directory(root, path)
        except OSError as error:
            if error.errno not in _UNREACHABLE:
                raise
            continue
        prefix = path + b"/" if path else b""
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(prefix + os.fsencode(entry.name))
                        continue
                    try:
                        about = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    # Overlay's whiteouts are all one file.
                    if about.st_nlink > 1 and not stat.S_ISSOCK(about.st_mode) and not is_whiteout(about):
                        groups.setdefault(inode(about), []).append(prefix + os.fsencode(entry.name))
        finally:
            os.close(directory)
    for names in groups.values():
        names.sort()
    return groups


def is_whiteout(about: os.stat_result) -> bool:
    """Whether this is what overlay calls a whiteout, a character device 0/0 (which no driver of the kernel serves)."""
    return stat.S_ISCHR(about.st_mode) and about.st_rdev == 0
