"""A layer that was unpacked by itself is put into the tree of the layers below it, as overlayfs would show the two.

For drivers whose snapshots are whole trees. So a layer comes to the same tree with every driver, whatever is in it: all go
through the one form of `unpack`. The layer lies in a directory of the tree itself, on the same file system, and what is new is
moved with one rename, however much is in it.
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.linux import path
from orlop.storage.layers import attributes, removal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_RESOLVE = path.RESOLVE_BENEATH | path.RESOLVE_NO_SYMLINKS | path.RESOLVE_NO_MAGICLINKS


def merge(
    layer: int,
    tree: int,
    *,
    opaque: Collection[bytes],
    implicit: Collection[bytes],
    whited_out: Collection[bytes],
    stage: bytes,
) -> None:
    """Move everything from directory ``layer`` into directory ``tree``, and carry out the whiteouts.

    ``opaque`` are paths of directories that hide what is in the tree; ``implicit`` of those that only are there because
    something is in them: where the tree has those already, they stay as they are; ``whited_out`` of those that have
    whiteouts in them. ``stage`` is the layer's name in the tree.

    Raises:
        OSError: the kernel refuses.
    """
    waiting = [b""]
    while waiting:
        name = waiting.pop()
        source = _open(layer, name)
        try:
            target = _open(tree, name)
            try:
                # Moving things changes both directories' times.
                kept = os.fstat(target if name in implicit else source)
                if name in opaque:
                    _empty(target, stage)
                below = _move_all(source, target)
                if name not in implicit:
                    _copy_metadata(source, target, kept)
                os.utime(target, ns=(kept.st_atime_ns, kept.st_mtime_ns))
            finally:
                os.close(target)
        finally:
            os.close(source)
        waiting.extend(b"/".join((name, last)) if name else last for last in below)
    for name in whited_out:
        remove_whiteouts(tree, name)


def _open(root: int, name: bytes) -> int:
    return path.open_at(root, name or b".", _OPEN, resolve=_RESOLVE)


def _empty(directory: int, stage: bytes) -> None:
    for last in _names(directory):
        if last != stage:
            _remove(directory, last)


def _move_all(source: int, target: int) -> list[bytes]:
    """Move what is in one directory; returns the subdirectories that both have, which are to be merged."""
    shared = []
    for last in _names(source):
        mode = _whiteout_or_mode(source, last)
        if not mode:
            _remove(target, last)
            os.unlink(last, dir_fd=source)
        elif not stat.S_ISDIR(mode):
            _move_file(source, target, last)
        elif _is_directory(target, last):
            shared.append(last)
        else:
            _remove(target, last)
            os.rename(last, last, src_dir_fd=source, dst_dir_fd=target)
    return shared


def remove_whiteouts(tree: int, name: bytes) -> None:
    """Remove the whiteouts in a directory, where there is nothing for them to hide.

    Raises:
        OSError: the kernel refuses.
    """
    try:
        directory = _open(tree, name)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return  # another entry of the layer has replaced it
        raise
    try:
        status = os.fstat(directory)
        for last in _names(directory):
            if not _whiteout_or_mode(directory, last):
                os.unlink(last, dir_fd=directory)
        os.utime(directory, ns=(status.st_atime_ns, status.st_mtime_ns))
    finally:
        os.close(directory)


def _names(directory: int) -> list[bytes]:
    return [os.fsencode(name) for name in os.listdir(directory)]


def _whiteout_or_mode(directory: int, last: bytes) -> int:
    """The mode of a file, or 0 for a whiteout."""
    status = os.stat(last, dir_fd=directory, follow_symlinks=False)
    return 0 if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0 else status.st_mode


def _move_file(source: int, target: int, last: bytes) -> None:
    try:
        os.rename(last, last, src_dir_fd=source, dst_dir_fd=target)
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY):
            raise
        removal.remove(target, last)
        os.rename(last, last, src_dir_fd=source, dst_dir_fd=target)


def _is_directory(directory: int, last: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.stat(last, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _remove(directory: int, last: bytes) -> None:
    try:
        os.unlink(last, dir_fd=directory)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        removal.remove(directory, last)


def _copy_metadata(source: int, target: int, status: os.stat_result) -> None:
    """Owner, mode and attributes of a directory that both have are the layer's."""
    os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    wanted = attributes.read(source)
    for key in attributes.names(target):
        if attributes.belongs(key) and os.fsencode(key) not in wanted:
            os.removexattr(target, key)
    for name, value in wanted.items():
        os.setxattr(target, name, value)
