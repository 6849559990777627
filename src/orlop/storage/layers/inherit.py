"""Directories that a layer has only because something in them is in it: they are to be as they are in the layers below."""

from __future__ import annotations

import errno
import os
import stat

from orlop.linux import path
from orlop.storage import mounts
from orlop.storage.layers import attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orlop.storage.mounts import Mount

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def metadata(below: Sequence[Mount], target: str, directories: Iterable[bytes]) -> None:
    """Give directories in ``target`` owner, mode, attributes and times of the same ones in the tree that ``below`` shows.

    ``directories`` are relative paths, the root directory's being empty. Those that are no directories below stay as they are.

    Raises:
        OSError: the kernel refuses.
    """
    ours = os.open(target, _FLAGS)
    try:
        with mounts.attached(below) as theirs:
            for name in directories:
                _copy(theirs, ours, os.fsdecode(name))
    finally:
        os.close(ours)


def _copy(theirs: int, ours: int, name: str) -> None:
    try:
        source = _open(theirs, name)
    except (FileNotFoundError, NotADirectoryError):
        return  # the layer makes it anew
    except OSError as error:
        if error.errno == errno.ELOOP:
            return  # a link, which the layer's directory replaces
        raise
    try:
        copy = _open(ours, name)
        try:
            status = os.fstat(source)
            os.fchown(copy, status.st_uid, status.st_gid)
            os.fchmod(copy, stat.S_IMODE(status.st_mode))
            for key, value in attributes.read(source).items():
                os.setxattr(copy, key, value)
            os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(copy)
    finally:
        os.close(source)


def _open(root: int, name: str) -> int:
    return path.open_at(root, name or ".", _FLAGS, resolve=path.RESOLVE_BENEATH | path.RESOLVE_NO_SYMLINKS)
