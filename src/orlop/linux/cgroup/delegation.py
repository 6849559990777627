"""What of the version 2 hierarchy belongs to a user (cgroup-v2.rst, "Delegation")."""

from __future__ import annotations

import os

from orlop.linux.cgroup import file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.cgroup.layout import Hierarchy, Layout

# The files that the owner of a delegated cgroup needs, where the kernel does not list them (before Linux 4.15).
_DEFAULT_FILES = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")
_LIST = "/sys/kernel/cgroup/delegate"


def own_path(hierarchy: Hierarchy, proc_cgroup: str) -> str | None:
    """The caller's own version 2 cgroup as a path below the hierarchy's mount, from ``/proc/self/cgroup``.

    None if it lies outside what is mounted.
    """
    for line in proc_cgroup.split("\n"):
        if line.startswith("0::"):
            own = line[3:]
            if hierarchy.root == "/":
                return own
            if own == hierarchy.root or own.startswith(hierarchy.root + "/"):
                return own[len(hierarchy.root) :] or "/"
    return None


def delegated_parent(layout: Layout) -> str | None:
    """The cgroup below which the caller may make groups for its containers; None if there is none.

    That is the parent of its own cgroup if it may write there, since a cgroup that has processes cannot
    hand controllers down; else its own.
    """
    if layout.unified is None:
        return None
    own = own_path(layout.unified, file.read("/proc/self/cgroup"))
    if own is None or own == "/":
        return None
    for candidate in (own.rpartition("/")[0], own):
        directory = layout.unified.directory(candidate or "/")
        if candidate and os.access(directory, os.W_OK) and os.access(directory + "/cgroup.procs", os.W_OK):
            return candidate
    return None


def files() -> list[str]:
    """The names of the files in a cgroup that its owner must be able to write."""
    text = file.read_if_there(_LIST)
    return text.split() if text else list(_DEFAULT_FILES)


def delegate(directory: str, uid: int, gid: int) -> None:
    """Give a version 2 cgroup to a user: its directory and the files for moving processes and handing down.

    Its limits stay the giver's.

    Raises:
        OSError: chown was refused.
    """
    os.chown(directory, uid, gid)
    for name in files():
        try:
            os.chown(f"{directory}/{name}", uid, gid, follow_symlinks=False)
        except FileNotFoundError:
            continue
