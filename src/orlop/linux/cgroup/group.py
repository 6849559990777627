"""One control group, whatever hierarchies it is spread over."""

from __future__ import annotations

import errno
import os

from orlop.linux.cgroup import directory, file
from orlop.linux.cgroup import path as path_rules
from orlop.linux.cgroup.layout import SYSTEMD, Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.linux.cgroup.layout import Hierarchy

_NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)
_KILL = 9


class Group:
    """A cgroup: the same path in each hierarchy of a layout.

    Made by `Layout.group` or `from_record`. ``hierarchies`` are those that it exists in: all of the
    layout's, but without privileges only those that the user may write to, which can be none. A group
    without hierarchies accepts every operation and does nothing.

    A process joins a group in one of three ways:

    - born in it, by clone3 with CLONE_INTO_CGROUP and `clone_fd`: the unified hierarchy only, and free;
    - it writes ``b"0"`` to each of `join_files`, single-threaded: 6 µs for a version 1 hierarchy. The unified
      one has no such way, and takes the kernel's global thread-group lock, which costs 5 to 15 ms on a
      machine that does not do it all the time;
    - another process calls `add`, which takes that lock in every hierarchy.
    """

    __slots__ = ("layout", "path", "refused")

    def __init__(self, layout: Layout, path: str) -> None:
        self.layout = layout
        self.path = path
        #: Controllers of the hierarchies that the user may not write to; only rootless.
        self.refused: tuple[str, ...] = ()

    @property
    def hierarchies(self) -> list[Hierarchy]:
        """Where this group has a directory or is to get one."""
        return self.layout.v1 if self.layout.unified is None else [*self.layout.v1, self.layout.unified]

    @property
    def exists(self) -> bool:
        """Whether its directory is there, in any hierarchy."""
        return any(os.path.isdir(hierarchy.directory(self.path)) for hierarchy in self.hierarchies)

    def directory(self, controller: str) -> str | None:
        """The directory of a version 1 controller, or of the unified hierarchy ("")."""
        hierarchy = self.layout.v1_hierarchy(controller) if controller else self.layout.unified
        return None if hierarchy is None else hierarchy.directory(self.path)

    def child(self, name: str) -> Group:
        """A cgroup below this one; nothing is created.

        Raises:
            InvalidConfig: the name leads out of this group.
        """
        return Group(self.layout, path_rules.child(self.path, name))

    # Making and removing

    def create(self, resources: dict[str, Any] | None = None, *, rootless: bool = False) -> None:
        """Make the directories and set the limits of ``linux.resources``, before anybody joins.

        Device rules always start from "no device", also where the resources have none, and end with the
        devices of every container (see `devices`); only with None instead of resources, for a group that is
        not a container's, is there no restriction at all. Whatever fails, what was made is removed again. With
        ``rootless``, hierarchies that the user may not write to are left out, as long as nothing was asked for
        that needs them.

        Raises:
            Conflict: the cgroup exists and has processes.
            Unsupported: a limit was asked for that this kernel has no controller for.
            InvalidConfig: the resources break the runtime specification.
            OSError: the kernel refused a directory or a value.
        """
        made: list[str] = []
        try:
            self._make_directories(made, rootless=rootless)
            if resources is not None:
                from orlop.linux.cgroup import limits

                limits.apply(self, resources, new=True, rootless=rootless)
        except BaseException:
            directory.undo(made)
            raise

    def _make_directories(self, made: list[str], *, rootless: bool) -> None:
        joined: list[Hierarchy] = []
        refused: list[str] = []
        for hierarchy in self.hierarchies:
            try:
                directory.make(hierarchy, self.path, made)
            except OSError as error:
                if not rootless or error.errno not in _NO_PERMISSION:
                    raise
                refused += hierarchy.controllers
                if hierarchy.version == 2:
                    refused += (file.read_if_there(hierarchy.mountpoint + "/cgroup.controllers") or "").split()
            else:
                joined.append(hierarchy)
        if len(joined) < len(self.hierarchies):
            unified = self.layout.unified
            self.layout = Layout([h for h in joined if h.version == 1], unified if unified in joined else None)
            self.refused = tuple(refused)

    def update(self, resources: dict[str, Any]) -> None:
        """Change the limits that are given, in the order that the kernel needs; the others stay.

        Raises:
            Unsupported, InvalidConfig, OSError: as `create`; what was set before the failure stays set.
        """
        from orlop.linux.cgroup import limits

        limits.apply(self, resources, new=False, rootless=bool(self.refused))

    def remove(self) -> None:
        """Remove the group, the groups below it, and those above it that orlop made and that are empty now.

        Waits up to ten seconds for the last processes to leave; ends none. A group that is gone is fine.

        Raises:
            OSError: EBUSY if processes stayed; ``filename`` is the directory.
        """
        for hierarchy in self.hierarchies:
            directory.remove(hierarchy, self.path)

    # Joining

    def clone_fd(self) -> int | None:
        """A descriptor (close-on-exec) of the unified directory for CLONE_INTO_CGROUP, Linux 5.7; None without one."""
        if self.layout.unified is None:
            return None
        unified = self.layout.unified.directory(self.path)
        return os.open(unified, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def clone_fd_of(self, pid: int) -> int:
        """As `clone_fd`, of the group in which a process is that lives in this one or below.

        A group that gives controllers to those below it takes no process itself (EBUSY; cgroup-v2.rst, "No Internal
        Process Constraint"): who lives there has moved on.

        Raises:
            OSError: the process is somewhere else (ENOENT), or has ended.
        """
        unified = self.layout.unified
        top = (unified.root.rstrip("/") if unified is not None else "") + self.path
        with open(f"/proc/{pid}/cgroup", "rb", buffering=0) as file:
            lines = file.read().decode(errors="surrogateescape").splitlines()
        where = next((line[3:] for line in lines if line.startswith("0::")), "")
        if unified is None or not f"{where}/".startswith(f"{top}/") or "/../" in f"{where}/":
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), where)
        directory = unified.directory(self.path) + where.removeprefix(top)
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def join_files(self, *, unified: bool = True) -> list[int]:
        """Descriptors (close-on-exec) to which a single-threaded process writes ``b"0"`` to put itself in.

        ``unified=False`` leaves the unified hierarchy out, for a process that is born in it by `clone_fd`.

        Raises:
            OSError: a file cannot be opened; those opened before are closed.
        """
        descriptors: list[int] = []
        try:
            for hierarchy in self.layout.v1:
                name = hierarchy.directory(self.path) + "/tasks"
                descriptors.append(os.open(name, os.O_WRONLY | os.O_CLOEXEC))
            if unified and self.layout.unified is not None:
                name = self.layout.unified.directory(self.path) + "/cgroup.procs"
                descriptors.append(os.open(name, os.O_WRONLY | os.O_CLOEXEC))
        except BaseException:
            for descriptor in descriptors:
                os.close(descriptor)
            raise
        return descriptors

    def add(self, pid: int) -> None:
        """Move a process with all its threads into the group.

        Raises:
            ProcessLookupError: there is no such process.
            OSError: the kernel refused; ``filename`` is the file.
        """
        for hierarchy in self.hierarchies:
            file.write(hierarchy.directory(self.path) + "/cgroup.procs", str(pid))

    # Looking and acting

    def pids(self, *, recursive: bool = True) -> list[int]:
        """The processes in the group, and with ``recursive`` in those below it, in no order."""
        where = self._counting_hierarchy()
        if where is None:
            return []
        top = where.directory(self.path)
        pids = file.pids_in(top)
        if recursive:
            from orlop.linux.cgroup import tree  # whoever starts a container does not ask

            pids += tree.pids_below(top)
        return pids

    def _counting_hierarchy(self) -> Hierarchy | None:
        """The hierarchy to look processes up in: one of version 1 on hybrid, since add and exec join it last."""
        for name in ("pids", "devices", "freezer", SYSTEMD):
            hierarchy = self.layout.v1_hierarchy(name)
            if hierarchy is not None:
                return hierarchy
        return self.hierarchies[-1] if self.hierarchies else None

    @property
    def frozen(self) -> bool:
        """Whether the group is frozen, or on its way there."""
        from orlop.linux.cgroup import freezer

        return freezer.frozen(self)

    def freeze(self) -> None:
        """Stop every process of the group where it is, and wait until all have stopped.

        Raises:
            Unsupported: there is neither a version 1 freezer nor a unified hierarchy.
            TimeoutError: a process did not stop; the group is thawed again.
        """
        from orlop.linux.cgroup import freezer

        freezer.freeze(self)

    def thaw(self) -> None:
        """Let the processes of the group go on."""
        from orlop.linux.cgroup import freezer

        freezer.thaw(self)

    def kill(self, signal: int = _KILL) -> None:
        """Send a signal to every process of the group and those below it, forks in progress included.

        SIGKILL also ends the processes of a frozen group. There, a signal that a process handles waits until
        it is thawed; one that ends it waits on version 1 and does not on version 2.
        """
        from orlop.linux.cgroup import killing

        killing.kill(self, signal)

    def delegate(self, uid: int, gid: int) -> None:
        """Give the unified part of the group to a user, who may then make groups in it; its limits stay ours.

        Nothing happens without the unified hierarchy: version 1 is not safe to delegate.

        Raises:
            OSError: chown was refused.
        """
        unified = self.directory("")
        if unified is not None:
            from orlop.linux.cgroup import delegation

            delegation.delegate(unified, uid, gid)

    def statistics(self) -> dict[str, Any]:
        """What the group has used, as ``data`` of ``runc events --stats`` shows it."""
        from orlop.linux.cgroup import statistics

        return statistics.collect(self)

    def record(self) -> dict[str, Any]:
        """The group as JSON can hold it, for `from_record`."""
        record = {"path": self.path, "hierarchies": self.layout.record()}
        if self.refused:
            record["refused"] = list(self.refused)
        return record
