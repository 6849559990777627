"""``tmpcopyup``: a new tmpfs starts with what the image has at its place.

The image is hostile: no link is followed, no file is opened that is not a regular one, and everything
is written through descriptors of the tmpfs, which nobody else can see yet.
"""

from __future__ import annotations

import errno
import os
import stat

_CHUNK = 1 << 20
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_ATTRIBUTES = (errno.ENOTSUP, errno.EPERM, errno.ENODATA)


def copy(source: int, target: int) -> None:
    """Copy the directory that ``source`` is open on (O_PATH) into the one that ``target`` is open on."""
    directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=source)
    destination = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=target)
    try:
        _copy_directory(directory, destination)
        _copy_metadata(directory, destination)
    finally:
        os.close(directory)
        os.close(destination)


def _copy_directory(source: int, target: int) -> None:
    for name in os.listdir(source):
        about = os.stat(name, dir_fd=source, follow_symlinks=False)
        kind = stat.S_IFMT(about.st_mode)
        if kind == stat.S_IFDIR:
            _copy_subdirectory(source, target, name)
        elif kind == stat.S_IFREG:
            _copy_file(source, target, name)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            _give(target, about, name)
        elif kind != stat.S_IFSOCK:  # a socket without its process means nothing
            os.mknod(name, about.st_mode, about.st_rdev, dir_fd=target)
            _give(target, about, name)


def _copy_subdirectory(source: int, target: int, name: str) -> None:
    below = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=source)
    try:
        os.mkdir(name, 0o700, dir_fd=target)
        into = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=target)
        try:
            _copy_directory(below, into)
            _copy_metadata(below, into)
        finally:
            os.close(into)
    finally:
        os.close(below)


def _copy_file(source: int, target: int, name: str) -> None:
    reader = os.open(name, _OPEN, dir_fd=source)
    try:
        if not stat.S_ISREG(os.fstat(reader).st_mode):
            raise OSError(errno.EBUSY, "changed while it was copied", name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writer = os.open(name, flags, 0o600, dir_fd=target)
        try:
            while os.sendfile(writer, reader, None, _CHUNK):
                pass
            _copy_metadata(reader, writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _give(target: int, about: os.stat_result, name: str | None = None) -> None:
    """Set the owner of ``target``, or of ``name`` in it."""
    try:
        if name is None:
            os.chown(target, about.st_uid, about.st_gid)
        else:
            os.chown(name, about.st_uid, about.st_gid, dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # The owner has no id in this user namespace, and could not be told from nobody anyway: the file stays ours.


def _copy_metadata(source: int, target: int) -> None:
    about = os.fstat(source)
    _give(target, about)
    os.chmod(target, stat.S_IMODE(about.st_mode))
    try:
        names = os.listxattr(source)
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTES:
            raise
        names = []
    for name in names:
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:  # tmpfs keeps only some kinds of attributes
            if error.errno not in _NO_ATTRIBUTES:
                raise
    os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
