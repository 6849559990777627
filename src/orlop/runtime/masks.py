"""Hiding and write-protecting paths of the container's root: ``maskedPaths``, ``readonlyPaths``, ``root.readonly``.

Each path is opened once and mounted on by descriptor, so nothing can be exchanged in between; those in /proc are
looked up from the container's procfs itself, wherever somebody may move its mount point meanwhile. What hides a
file is the host's ``/dev/null``, checked to be that device (CVE-2025-31133: the container's own may be a link to
anything); what hides directories is one empty read-only tmpfs.
"""

from __future__ import annotations

import os
import stat

from orlop.errors import StepFailed
from orlop.linux import mount, path
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_NULL = os.makedev(1, 3)


def mask(root: int, paths: Iterable[str], procfs: int = -1) -> None:
    """Make each path, where it exists, unreadable: an empty file or an empty directory."""
    null = -1
    empty = -1
    try:
        for masked in paths:
            target = _open(root, procfs, masked, "mask")
            if target < 0:
                continue
            try:
                with step("mask", masked):
                    if stat.S_ISDIR(os.fstat(target).st_mode):
                        if empty < 0:
                            empty = mount.new(
                                "tmpfs",
                                "tmpfs",
                                data=("nr_blocks=1", "nr_inodes=1"),
                                flags=("ro",),
                                attributes=mount.MOUNT_ATTR_RDONLY,
                            )
                            mount.attach(empty, target)
                        else:
                            _attach_copy(empty, target)
                    else:
                        if null < 0:
                            null = _open_null()
                        # Read-only, or whoever is root inside could change the mode of the host's device.
                        _attach_copy(null, target, mount.MOUNT_ATTR_RDONLY)
            finally:
                os.close(target)
    finally:
        for descriptor in (null, empty):
            if descriptor >= 0:
                os.close(descriptor)


def protect(root: int, paths: Iterable[str], procfs: int = -1) -> None:
    """Make each path, where it exists, and what is mounted below it read-only."""
    for protected in paths:
        target = _open(root, procfs, protected, "make read-only")
        if target < 0:
            continue
        try:
            with step("make read-only", protected):
                tree = mount.clone(target, recursive=True)
                try:
                    mount.set_attributes(tree, mount.MOUNT_ATTR_RDONLY, recursive=True)
                    mount.attach(tree, target)
                finally:
                    os.close(tree)
        finally:
            os.close(target)


def _open(root: int, procfs: int, where: str, what: str) -> int:
    try:
        if procfs >= 0 and where.startswith("/proc/"):
            return path.open_in_root(procfs, where.removeprefix("/proc/"))
        return path.open_in_root(root, where)
    except (FileNotFoundError, NotADirectoryError):
        return -1
    except OSError as error:
        raise StepFailed(what, where, error.strerror or "", error.errno or 0) from None


def _open_null() -> int:
    descriptor = os.open("/dev/null", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    about = os.fstat(descriptor)
    if not stat.S_ISCHR(about.st_mode) or about.st_rdev != _NULL:
        os.close(descriptor)
        raise StepFailed("mask with", "/dev/null", "it is not the null device of this machine")
    return descriptor


def _attach_copy(source: int, target: int, attributes: int = 0) -> None:
    tree = mount.clone(source)
    try:
        if attributes:
            mount.set_attributes(tree, attributes)
        mount.attach(tree, target)
    finally:
        os.close(tree)
