"""The container's root: attached in its mount namespace, and made the root of the process."""

from __future__ import annotations

import os

from orlop.errors import StepFailed
from orlop.linux import mount
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: ``linux.rootfsPropagation`` → MS_* type.
PROPAGATION = {
    "private": mount.MS_PRIVATE,
    "rprivate": mount.MS_PRIVATE,
    "slave": mount.MS_SLAVE,
    "rslave": mount.MS_SLAVE,
    "shared": mount.MS_SHARED,
    "rshared": mount.MS_SHARED,
    "unbindable": mount.MS_UNBINDABLE,
    "runbindable": mount.MS_UNBINDABLE,
}


def clone(path: str) -> int:
    """A detached copy of the tree of mounts at the root file system's directory.

    Raises:
        StepFailed: it is not there or is not a directory.
    """
    with step("open root file system", path):
        if not os.path.isdir(path):
            os.stat(path)
            raise StepFailed("open root file system", path, "not a directory", 20)
        return mount.clone(mount.AT_FDCWD, path, recursive=True)


def open_tree(path: str, root_mounts: Sequence[dict[str, Any]]) -> int:
    """The root file system as a detached mount: a copy of what is at ``path``, or ``root_mounts`` made anew.

    Raises:
        StepFailed: it cannot be had.
    """
    if not root_mounts:
        return clone(path)
    from orlop.storage import mounts

    with step("mount root file system"):
        return mounts.attach([mounts.Mount.from_json(each) for each in root_mounts])


def isolate(propagation: int) -> None:
    """Cut this mount namespace's propagation back to the host; a shared root is made so only at the end."""
    kind = propagation if propagation in (mount.MS_PRIVATE, mount.MS_SLAVE) else mount.MS_SLAVE
    with step("set propagation of", "/"):
        mount.set_attributes(mount.AT_FDCWD, propagation=kind, recursive=True, path="/")


def attach(tree: int, path: str) -> None:
    """Attach the root's tree where hooks expect it; where that cannot be reached, over ``/``."""
    with step("attach root file system", path):
        try:
            target = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError:
            target = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            mount.attach(tree, target)
        finally:
            os.close(target)


def enter_by_pivot(root: int) -> None:
    """Make ``root`` the root of the mount namespace and let go of the host's (pivot_root(2), "pivot_root(".", ".")")."""
    with step("pivot_root"):
        os.fchdir(root)
        mount.pivot_root(".", ".")
        mount.unmount(".", mount.MNT_DETACH)
        os.chdir("/")


def enter_by_move(root: int, path: str) -> None:
    """``--no-pivot``: move the root over ``/``, where pivot_root is impossible, as on an initramfs.

    The host's mounts stay underneath. Those through which the container could still act on the host, every other
    procfs and sysfs, are unmounted first.
    """
    with step("unmount the host's procfs and sysfs"):
        with open("/proc/self/mountinfo", "rb", buffering=0) as file:
            lines = file.readall().decode(errors="surrogateescape").splitlines()
        for line in reversed(lines):
            before, _, after = line.partition(" - ")
            where = before.split(" ")[4]
            is_below = path in ("/", where) or where.startswith(path + "/")
            if after.split(" ")[0] in ("proc", "sysfs") and not is_below:
                mount.unmount(where, mount.MNT_DETACH)
    with step("move root file system to", "/"):
        os.fchdir(root)
        mount.move_here_as_root(".")
        os.chroot(".")
        os.chdir("/")


def enter_by_chroot(root: int) -> None:
    """Without a mount namespace of its own the container only changes its root directory."""
    with step("chroot"):
        os.fchdir(root)
        os.chroot(".")
        os.chdir("/")


def make_readonly(root: int) -> None:
    """Write-protect the root's own mount, once nothing more is to be mounted below it."""
    with step("make read-only", "/"):
        mount.set_attributes(root, mount.MOUNT_ATTR_RDONLY)


def propagate(root: int, propagation: int) -> None:
    """Give the root's mount the propagation that was asked for; not before the pivot, which refuses a shared root."""
    if propagation in (mount.MS_SHARED, mount.MS_UNBINDABLE, mount.MS_PRIVATE):
        with step("set propagation of", "/"):
            mount.set_attributes(root, propagation=propagation)
