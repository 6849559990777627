"""Subvolumes of btrfs: making, snapshotting and deleting them (ioctl_btrfs(2), linux/btrfs.h)."""

from __future__ import annotations

import fcntl
import os

from orlop.linux import mount

_SUPER_MAGIC = 0x9123683E
_FIRST_FREE_OBJECTID = 256  # the inode number of every subvolume's root directory

_SNAP_CREATE = 0x50009401  # _IOW(0x94, 1, struct btrfs_ioctl_vol_args)
_SUBVOL_CREATE = 0x5000940E
_SNAP_DESTROY = 0x5000940F
_SUBVOL_SETFLAGS = 0x4008941A  # _IOW(0x94, 26, __u64)

_NAME_SIZE = 4088  # BTRFS_PATH_NAME_MAX + 1


def is_btrfs(descriptor: int) -> bool:
    """Whether a file is on a btrfs."""
    return mount.statfs_type(descriptor) == _SUPER_MAGIC


def is_subvolume(directory: int) -> bool:
    """Whether an open directory of a btrfs is a subvolume's root."""
    return os.fstat(directory).st_ino == _FIRST_FREE_OBJECTID


def create_subvolume(directory: int, name: str) -> None:
    """Make an empty subvolume ``name`` in an open directory; its mode is 0777 without the umask."""
    _call(directory, _SUBVOL_CREATE, 0, name)


def snapshot(source: int, directory: int, name: str) -> None:
    """Make ``name`` in an open directory a writable snapshot of the subvolume whose root is open as ``source``."""
    _call(directory, _SNAP_CREATE, source, name)


def delete_subvolume(directory: int, name: str) -> None:
    """Delete a subvolume with all its files, at once; the space is freed later.

    Raises:
        OSError: ENOTEMPTY if there are subvolumes in it, EPERM if the mount does not let users do this
            (``user_subvol_rm_allowed``).
    """
    _call(directory, _SNAP_DESTROY, 0, name)


def make_writable(subvolume: int) -> None:
    """Take the read-only property from a subvolume that is open."""
    fcntl.ioctl(subvolume, _SUBVOL_SETFLAGS, bytes(8))


def _call(directory: int, request: int, source: int, name: str) -> None:
    """An ioctl that takes a struct btrfs_ioctl_vol_args."""
    encoded = os.fsencode(name)
    if len(encoded) >= _NAME_SIZE:
        raise ValueError(f"a subvolume's name has less than {_NAME_SIZE} bytes")
    try:
        fcntl.ioctl(directory, request, bytearray(source.to_bytes(8, "little") + encoded.ljust(_NAME_SIZE, b"\0")))
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from None
