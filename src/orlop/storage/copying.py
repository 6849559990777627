"""Copying a file tree exactly: owners, modes, times, extended attributes, hard links, special files and holes.

Data is shared with the original where the file system can do that (FICLONE), and otherwise copied within the kernel.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from orlop.storage import trees

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FICLONE = 0x40049409  # _IOW(0x94, 9, int), linux/fs.h
_CHUNK = 64 << 20
_SMALL = 256 << 10

#: What one call or the other answers where it does not work between these files.
_NOT_HERE = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EBADF, errno.EPERM}


def copy_tree(source: str, target: str, *, links: str) -> None:
    """Copy directory ``source``, which nobody changes meanwhile, to ``target``, which does not exist.

    ``links`` is the path of a directory on the target's file system that is used meanwhile and removed at the end: it
    keeps one more name of each file that has several, since a path of the tree itself may be too long to be one.

    Raises:
        OSError: something cannot be read or made, such as a device in a user namespace.
        OrlopError: something is mounted in the tree.
    """
    os.mkdir(links, 0o700)
    os.mkdir(target, 0o700)
    top = os.open(source, _DIRECTORY)
    try:
        copy = _Copy(links, os.open(target, _DIRECTORY))
        try:
            for depth, name, directory, entries in trees.walk(top):
                copy.visit(depth, name, directory, entries)
            copy.leave(0)
        finally:
            copy.close()
    finally:
        os.close(top)
    trees.remove(links)


class _Copy:
    """A copy in progress. It goes down with the walk, and each directory gets its times when it is left."""

    __slots__ = ("_attributes", "_can_share", "_known", "_links", "_target")

    def __init__(self, links: str, target: int) -> None:
        self._target = target  # the directory that is being filled
        #: Of each directory on the way down: its status and extended attributes.
        self._attributes: list[tuple[os.stat_result, list[tuple[str, bytes]]]] = []
        self._links = os.open(links, _DIRECTORY)
        self._known: set[str] = set()
        self._can_share = True

    def close(self) -> None:
        os.close(self._target)
        os.close(self._links)

    def visit(self, depth: int, name: str, directory: int, entries: list[os.DirEntry[str]]) -> None:
        """Copy what is in a directory; directories in it are made and visited later."""
        self.leave(depth)
        if depth:
            below = trees.open_directory(self._target, name)
            os.close(self._target)
            self._target = below
        self._attributes.append((os.fstat(directory), _extended_attributes(directory)))
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                os.mkdir(entry.name, 0o700, dir_fd=self._target)
            else:
                self._copy(directory, entry)

    def leave(self, depth: int) -> None:
        """Go up until ``depth`` directories are left that are being filled."""
        while len(self._attributes) > depth:
            status, extended = self._attributes.pop()
            _set_attributes(self._target, self._target, status, extended)
            if not self._attributes:
                return
            above = os.open("..", _DIRECTORY, dir_fd=self._target)
            os.close(self._target)
            self._target = above

    def _copy(self, directory: int, entry: os.DirEntry[str]) -> None:
        status = entry.stat(follow_symlinks=False)
        several = status.st_nlink > 1
        number = f"{status.st_dev}-{status.st_ino}"
        if several and number in self._known:
            os.link(number, entry.name, src_dir_fd=self._links, dst_dir_fd=self._target, follow_symlinks=False)
            return
        if stat.S_ISREG(status.st_mode):
            self._copy_file(directory, entry.name, status)
        else:
            self._copy_special(directory, entry.name, status)
        if several:
            os.link(entry.name, number, src_dir_fd=self._target, dst_dir_fd=self._links, follow_symlinks=False)
            self._known.add(number)

    def _copy_file(self, directory: int, name: str, status: os.stat_result) -> None:
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            target = os.open(name, flags, 0o600, dir_fd=self._target)
            try:
                if status.st_size:
                    self._copy_data(source, target, status)
                _set_attributes(target, target, status, _extended_attributes(source))
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _copy_data(self, source: int, target: int, status: os.stat_result) -> None:
        if self._can_share:
            try:
                fcntl.ioctl(target, _FICLONE, source)
                return
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                self._can_share = error.errno == errno.EINVAL  # that may be this file's fault
        size = status.st_size
        if size <= _SMALL and status.st_blocks * 512 >= size:
            _write(target, os.read(source, size), 0)
            return
        os.ftruncate(target, size)  # what is not copied remains a hole
        end = 0
        while True:
            try:
                start = os.lseek(source, end, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return  # a hole up to the end
                raise
            end = os.lseek(source, start, os.SEEK_HOLE)
            _copy_range(source, target, start, end)

    def _copy_special(self, directory: int, name: str, status: os.stat_result) -> None:
        """A link, device, fifo or socket: not opened, but reached by its name in a directory that is."""
        path = f"/proc/self/fd/{self._target}/{name}"
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=directory), name, dir_fd=self._target)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=self._target)
        extended = _extended_attributes(f"/proc/self/fd/{directory}/{name}")
        _set_attributes(path, path, status, extended)


def _extended_attributes(what: int | str) -> list[tuple[str, bytes]]:
    try:
        names = os.listxattr(what, follow_symlinks=isinstance(what, int))
        return [(name, os.getxattr(what, name, follow_symlinks=isinstance(what, int))) for name in names]
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return []  # a file system without any
        raise


def _set_attributes(
    what: int | str, path: int | str, status: os.stat_result, extended: list[tuple[str, bytes]]
) -> None:
    """Give a file its owner, mode, extended attributes and times: in this order, for each undoes what comes later."""
    opened = isinstance(what, int)
    os.chown(what, status.st_uid, status.st_gid, follow_symlinks=opened)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(path, stat.S_IMODE(status.st_mode))
    for name, value in extended:
        os.setxattr(what, name, value, follow_symlinks=opened)
    os.utime(what, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=opened)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    try:
        while start < end:
            copied = os.copy_file_range(source, target, min(end - start, _CHUNK), start, start)
            if not copied:
                return  # it has become shorter
            start += copied
        return
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    while start < end:
        data = os.pread(source, min(end - start, 1 << 20), start)
        if not data:
            return
        _write(target, data, start)
        start += len(data)


def _write(target: int, data: bytes, start: int) -> None:
    """Write everything, however many calls it takes."""
    done = 0
    while done < len(data):
        done += os.pwrite(target, data[done:] if done else data, start + done)
