"""Which namespaces a container gets, as a plan: what to make, what to join, and in which order.

runtime-spec, config-linux.md, "Namespaces": listed without a path it is new, with a path it is joined, not
listed it is the runtime's own.
"""

from __future__ import annotations

import errno
import os

from orlop.errors import StepFailed, Unsupported
from orlop.linux import credentials, namespace
from orlop.runtime import process
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Joined first to last: the user namespace gives the right to join the others, the mount namespace takes the view of
#: the host away.
_JOIN_ORDER = ("user", "ipc", "uts", "network", "pid", "cgroup", "time", "mount")


class NamespacePlan:
    """What a container's ``linux.namespaces`` ask for.

    Attributes:
        kinds: every kind that is listed.
        flags: CLONE_NEW* of the new ones, the cgroup namespace aside, which is made after joining the cgroups.
        new_cgroup: whether that one is new.
        joins: (kind, open descriptor, path) of those to join, in order.
        staged: whether another process has to come between: what is joined (pid, user, time) or set up (time
            offsets) concerns only the children of the one that does it.
        time_offsets: the lines for ``/proc/self/timens_offsets``.
    """

    __slots__ = ("_adopted", "flags", "joins", "kinds", "new_cgroup", "staged", "time_offsets")

    def __init__(self) -> None:
        self.kinds: frozenset[str] = frozenset()
        self.flags = 0
        self.new_cgroup = False
        self.joins: list[tuple[str, int, str]] = []
        self.staged = False
        self.time_offsets = ""
        self._adopted = False

    def is_new(self, kind: str) -> bool:
        """Whether a namespace of this kind is made for the container."""
        return bool(self.flags & namespace.FLAGS[kind]) or (kind == "cgroup" and self.new_cgroup)

    @property
    def has_own_network(self) -> bool:
        """Whether the container's network namespace is nobody else's."""
        return self._adopted or self.is_new("network")

    def adopt_network(self, descriptor: int) -> None:
        """Join a network namespace that was made for the container before, instead of making one; it is ours to close."""
        self.flags &= ~namespace.FLAGS["network"]
        self.joins.append(("network", descriptor, ""))
        self._adopted = True

    def close(self) -> None:
        """Close the descriptors of the namespaces to join."""
        for _, descriptor, _ in self.joins:
            os.close(descriptor)
        self.joins = []


def plan(linux: dict[str, Any]) -> NamespacePlan:
    """Read the configuration and open what is to be joined.

    Raises:
        Unsupported: the kernel has no such namespace.
        StepFailed: a path is not a namespace of its kind.
    """
    result = NamespacePlan()
    listed = {each["type"]: each.get("path") or "" for each in linux.get("namespaces") or ()}
    result.kinds = frozenset(listed)
    for kind in _JOIN_ORDER:
        if kind not in listed:
            continue
        own = f"/proc/self/ns/{namespace.FILES[kind]}"
        own_identity = namespace.identity(own)
        if own_identity is None:
            raise Unsupported(f"this kernel has no {kind} namespaces")
        path = listed[kind]
        if not path:
            if kind == "cgroup":
                result.new_cgroup = True
            else:
                result.flags |= namespace.FLAGS[kind]
            continue
        identity = namespace.identity(path)
        if identity is None:
            raise StepFailed(f"join {kind} namespace", path, "no such file or directory", 2)
        if identity == own_identity:
            continue  # the runtime's own: there is nothing to do, and the kernel refuses it for user namespaces
        with step(f"join {kind} namespace", path):
            result.joins.append((kind, os.open(path, os.O_RDONLY | os.O_CLOEXEC), path))
        if kind in ("pid", "user", "time"):
            result.staged = True
    offsets = linux.get("timeOffsets") or {}
    if offsets:
        # A time namespace can be given offsets only before the first process enters it.
        result.staged = True
        result.time_offsets = "".join(
            f"{clock} {offset.get('secs', 0)} {offset.get('nanosecs', 0)}\n" for clock, offset in offsets.items()
        )
    return result


def join(joins: list[tuple[str, int, str]]) -> None:
    """Enter the planned namespaces, in order."""
    for kind, descriptor, path in joins:
        with step(f"join {kind} namespace", path):
            namespace.join(descriptor, namespace.FLAGS[kind])
        if kind == "mount":
            process.forbid_imports()  # what sys.path means from here on is somebody else's


def become_root(first_ids: tuple[int, int] | None = None) -> None:
    """After entering a user namespace: be its root, or where it has none the first user and group that it has.

    Somebody it must be: files cannot be made by an id that their file system does not know (EOVERFLOW).
    ``first_ids`` are those two for whoever no longer sees its own /proc.
    """
    with step("become root of the user namespace"):
        for index, change in ((1, credentials.set_group), (0, credentials.set_user)):
            try:
                change(0)
            except OSError as error:
                if error.errno != errno.EINVAL:  # 0 is not mapped
                    raise
                change((first_ids or first_mapped("self"))[index])


def first_mapped(pid: int | str) -> tuple[int, int]:
    """The first user and the first group in the user namespace of a process."""
    firsts = []
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            firsts.append(int(file.read().split()[0]))
    return firsts[0], firsts[1]
