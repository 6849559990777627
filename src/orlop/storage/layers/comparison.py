"""Whether an entry of a tree is the same as the one of that name in another tree."""

from __future__ import annotations

import errno
import os
import stat

from orlop.storage.layers import attributes

_PIECE = 256 << 10
_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_file(directory: int, name: bytes) -> int:
    """Open a regular file of a directory to read it, without a trace in its access time.

    What is there is looked at before it is opened: opening a device that somebody put in a file's place could do
    anything.

    Raises:
        FileNotFoundError: it is not there, or no regular file.
        OSError: it cannot be opened.
    """
    handle = os.open(name, _HANDLE, dir_fd=directory)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise FileNotFoundError(errno.ENOENT, "is no regular file any more", os.fsdecode(name))
        link = f"/proc/self/fd/{handle}"
        try:
            return os.open(link, _READ | os.O_NOATIME)
        except PermissionError:
            return os.open(link, _READ)  # O_NOATIME is for the owner, or CAP_FOWNER over the owner's id
    finally:
        os.close(handle)


def reachable(directory: int, name: bytes) -> str:
    """A path of an entry of an open directory, for calls that take no descriptor; its last component may be a link."""
    return f"/proc/self/fd/{directory}/{os.fsdecode(name)}"


def read_link(directory: int, name: bytes) -> bytes:
    """Where a symbolic link of a directory points to.

    Raises:
        FileNotFoundError: it is not there, or no symbolic link.
        OSError: it cannot be read.
    """
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise FileNotFoundError(errno.ENOENT, "is no symbolic link any more", os.fsdecode(name)) from None


def same_status(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether type, mode, owner, modification time, and a file's size or a device's number, are the same."""
    kind = stat.S_IFMT(one.st_mode)
    return (
        one.st_mode == other.st_mode
        and one.st_mtime_ns == other.st_mtime_ns
        and one.st_uid == other.st_uid
        and one.st_gid == other.st_gid
        and (one.st_size == other.st_size or kind not in {stat.S_IFREG, stat.S_IFLNK})
        and (one.st_rdev == other.st_rdev or kind not in {stat.S_IFCHR, stat.S_IFBLK})
    )


class Comparison:
    """How to compare entries: ``snapshot`` says that one tree is a file system's own snapshot of the other.

    A file of the same inode number and change time (which nobody can set) then is the same file.
    """

    __slots__ = ("_snapshot",)

    def __init__(self, *, snapshot: bool) -> None:
        self._snapshot = snapshot

    def same(self, one: os.stat_result, holder: int, other: os.stat_result, other_holder: int, name: bytes) -> bool:
        """Whether what is called ``name`` in two open directories, and is no directory itself, is the same.

        Raises:
            FileNotFoundError: one of them is not there any more.
            OSError: one of them cannot be read.
        """
        if not same_status(one, other):
            return False
        if self._snapshot and one.st_ino == other.st_ino and one.st_ctime_ns == other.st_ctime_ns:
            return True
        kind = stat.S_IFMT(one.st_mode)
        if kind == stat.S_IFLNK:
            return read_link(holder, name) == read_link(other_holder, name)
        if kind != stat.S_IFREG:
            return attributes.read(reachable(holder, name)) == attributes.read(reachable(other_holder, name))
        first = open_file(holder, name)
        try:
            second = open_file(other_holder, name)
            try:
                return attributes.read(first) == attributes.read(second) and _same_content(first, second)
            finally:
                os.close(second)
        finally:
            os.close(first)


def _same_content(one: int, other: int) -> bool:
    offset = 0
    while True:
        piece = os.pread(one, _PIECE, offset)
        if piece != os.pread(other, _PIECE, offset):
            return False
        if not piece:
            return True
        offset += len(piece)
