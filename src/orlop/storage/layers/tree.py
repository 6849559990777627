"""The directory that a layer is unpacked into: directories in it by path, opened so that no symbolic link is ever followed.

Nobody else has the directory's path, and the entries of an archive come one after the other, so what was opened stays
what it is until an entry replaces it. Each open directory has its times set when it is closed, after the last change
to it: when another one needs its place among those that are kept open, or at the end.
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.errors import InvalidArchive
from orlop.linux import path
from orlop.storage.layers import removal
from orlop.storage.layers.limits import MOST_MARKS

_MOST_OPEN = 128
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_RESOLVE = path.RESOLVE_BENEATH | path.RESOLVE_NO_SYMLINKS | path.RESOLVE_NO_MAGICLINKS


class Directory:
    """An open directory."""

    __slots__ = ("atime", "descriptor", "gid", "mtime", "path")

    def __init__(self, path: bytes, descriptor: int, gid: int, atime: int, mtime: int) -> None:
        self.path = path
        self.descriptor = descriptor
        #: Its group, which what is made in it may get.
        self.gid = gid
        #: What its times are to be when it is closed, in nanoseconds.
        self.atime = atime
        self.mtime = mtime

    def close(self) -> None:
        """Set the times and close it."""
        try:
            os.utime(self.descriptor, ns=(self.atime, self.mtime))
        finally:
            os.close(self.descriptor)


class Tree:
    """A directory that is being filled."""

    __slots__ = ("_open", "implicit", "made", "opaque", "root", "whited_out")

    def __init__(self, root: int) -> None:
        #: The directory itself, whose path is empty.
        self.root = Directory(b"", os.dup(root), os.fstat(root).st_gid, 0, 0)
        self._open: dict[bytes, Directory] = {}
        #: Directories that were made because something is in them, and not named so far.
        self.implicit: dict[bytes, None] = {b"": None}
        #: Directories that hide what the layers below have in them.
        self.opaque: dict[bytes, None] = {}
        #: Directories that have, or had, whiteouts in them.
        self.whited_out: dict[bytes, None] = {}
        #: How many directories were ever made without being named.
        self.made = 0

    def close(self) -> None:
        """Close all directories, with their times set."""
        while self._open:
            self._open.popitem()[1].close()
        self.root.close()

    def abandon(self) -> None:
        """Close all directories as they are."""
        for directory in (self.root, *self._open.values()):
            os.close(directory.descriptor)
        self._open.clear()

    def lookup(self, name: bytes) -> Directory | None:
        """The directory of a path if it is open."""
        return self._open.get(name) if name else self.root

    def directory(self, name: bytes, *, make: bool = True) -> Directory:
        """The directory of a path that `split` gave; a missing one is made, with those above it, unless not ``make``.

        It stays open at least until the next call that opens another one.

        Raises:
            InvalidArchive: a symbolic link or something else that is no directory is in the way.
            FileNotFoundError: it is missing, and not to be made.
        """
        found = self._open.get(name)
        if found is not None:
            return found
        if not name:
            return self.root
        try:
            descriptor = path.open_at(self.root.descriptor, name, _OPEN, resolve=_RESOLVE)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG or (not make and error.errno == errno.ENOENT):
                raise
            return self._walk(name, make=make)
        status = os.fstat(descriptor)
        return self.keep(Directory(name, descriptor, status.st_gid, status.st_atime_ns, status.st_mtime_ns))

    def keep(self, directory: Directory) -> Directory:
        """Keep a directory open, and close another one if there are many."""
        if len(self._open) >= _MOST_OPEN:
            self._open.pop(next(iter(self._open))).close()
        self._open[directory.path] = directory
        return directory

    def _walk(self, name: bytes, *, make: bool) -> Directory:
        """Go down to a directory step by step."""
        directory = self.root
        at = 0
        while at < len(name):
            slash = name.find(b"/", at)
            end = slash if slash >= 0 else len(name)
            step = self._open.get(name[:end])
            directory = step or self._step(directory, name[:end], name[at:end], make=make)
            at = end + 1
        return directory

    def _step(self, parent: Directory, name: bytes, last: bytes, *, make: bool) -> Directory:
        try:
            descriptor = os.open(last, _OPEN, dir_fd=parent.descriptor)
        except FileNotFoundError:
            if not make:
                raise
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            if not self.is_whiteout(parent, last):
                raise self._in_the_way(parent, name, last) from None
            if not make:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(name)) from None
            # The layer takes away what is below, and has something of its own there.
            os.unlink(last, dir_fd=parent.descriptor)
            self.mark_opaque(name)
        else:
            status = os.fstat(descriptor)
            return self.keep(Directory(name, descriptor, status.st_gid, status.st_atime_ns, status.st_mtime_ns))
        if len(self.implicit) >= MOST_MARKS:
            raise InvalidArchive(f"the layer has more than {MOST_MARKS} directories that it does not name")
        os.mkdir(last, 0o755, dir_fd=parent.descriptor)
        descriptor = os.open(last, _OPEN, dir_fd=parent.descriptor)
        # A parent with a group of its own passes that on.
        os.fchown(descriptor, 0, 0)
        os.fchmod(descriptor, 0o755)
        self.implicit[name] = None
        self.made += 1
        return self.keep(Directory(name, descriptor, 0, 0, 0))

    def named(self, directory: Directory) -> None:
        """Note that the layer names a directory itself."""
        self.implicit.pop(directory.path, None)

    def mark_opaque(self, name: bytes) -> None:
        """Note that a directory hides what the layers below have in it.

        Raises:
            InvalidArchive: there are too many.
        """
        self._mark(self.opaque, name)

    def is_in_opaque(self, name: bytes) -> bool:
        """Whether a directory above hides what the layers below have at a path."""
        end = name.rfind(b"/") if self.opaque else -1
        while end >= 0:
            if name[:end] in self.opaque:
                return True
            end = name.rfind(b"/", 0, end)
        return False

    def _mark(self, marks: dict[bytes, None], name: bytes) -> None:
        if len(marks) >= MOST_MARKS:
            raise InvalidArchive(f"the layer has more than {MOST_MARKS} directories with whiteouts or opaque marks")
        marks[name] = None

    def clear(self, parent: Directory, name: bytes, last: bytes) -> int:
        """Remove what is at a path, whatever it is; returns the mode that it had, or 0 if there was nothing."""
        try:
            status = os.stat(last, dir_fd=parent.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return 0
        if stat.S_ISDIR(status.st_mode):
            below = name + b"/"
            for key in [key for key in self._open if key == name or key.startswith(below)]:
                os.close(self._open.pop(key).descriptor)
            for marks in (self.implicit, self.opaque):
                for key in [key for key in marks if key == name or key.startswith(below)]:
                    del marks[key]
            removal.remove(parent.descriptor, last)
        else:
            os.unlink(last, dir_fd=parent.descriptor)
        return status.st_mode

    def white_out(self, parent: Directory, name: bytes, last: bytes) -> None:
        """Take away what the layers below have at a path. What this layer has there stays (OCI image-spec, layer.md)."""
        try:
            status = os.stat(last, dir_fd=parent.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            # Such a device is overlayfs's whiteout, which needs no privilege (Linux 5.8).
            os.mknod(last, stat.S_IFCHR, 0, dir_fd=parent.descriptor)
            self._mark(self.whited_out, parent.path)
            return
        if stat.S_ISDIR(status.st_mode):
            self.mark_opaque(name)

    def is_whiteout(self, parent: Directory, last: bytes) -> bool:
        """Whether a whiteout is there."""
        status = os.stat(last, dir_fd=parent.descriptor, follow_symlinks=False)
        return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0

    def _in_the_way(self, parent: Directory, name: bytes, last: bytes) -> InvalidArchive:
        mode = os.stat(last, dir_fd=parent.descriptor, follow_symlinks=False).st_mode
        what = "a symbolic link" if stat.S_ISLNK(mode) else "no directory"
        return InvalidArchive(f"the path goes through {os.fsdecode(name)!r}, which is {what}")
