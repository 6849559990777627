"""Which cgroup hierarchies this machine has, and where they are mounted.

Linux has two kinds, cgroups(7). Version 1 has a hierarchy per controller or pair of controllers; version 2
has one for all. Three layouts are in use: only version 2 (``v2``), only version 1 (``v1``), and systemd's
``hybrid``: version 1 for the controllers and version 2, usually at ``/sys/fs/cgroup/unified``, for naming
processes, freezing and killing. ``none`` is a machine or a container without any.
"""

from __future__ import annotations

from orlop.errors import Unsupported
from orlop.linux.cgroup import path as path_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.linux.cgroup.group import Group

#: What a version 1 mount's options can name; other options there (rw, xattr, release_agent=…) are not controllers.
V1_CONTROLLERS = frozenset(
    [
        "cpu",
        "cpuacct",
        "cpuset",
        "memory",
        "devices",
        "freezer",
        "blkio",
        "pids",
        "hugetlb",
        "net_cls",
        "net_prio",
        "perf_event",
        "rdma",
        "misc",
        "debug",
    ]
)
#: The one named hierarchy that containers join, because engines look a process up by it.
SYSTEMD = "name=systemd"


class Hierarchy:
    """One mounted hierarchy.

    ``version`` is 1 or 2; ``controllers`` are those of a version 1 hierarchy (``("cpu", "cpuacct")``,
    ``("name=systemd",)``), empty for version 2, whose controllers can change; ``mountpoint`` is where it
    is mounted and ``root`` which of its cgroups is visible there ("/" but in containers).
    """

    __slots__ = ("controllers", "mountpoint", "root", "version")

    def __init__(self, version: int, controllers: tuple[str, ...], mountpoint: str, root: str) -> None:
        self.version = version
        self.controllers = controllers
        self.mountpoint = mountpoint
        self.root = root

    @property
    def name(self) -> str:
        """What its directory below ``/sys/fs/cgroup`` is called: ``memory``, ``cpu,cpuacct``, ``systemd``."""
        return self.mountpoint.rpartition("/")[2]

    @property
    def mount_options(self) -> tuple[str, ...]:
        """What a new mount of a version 1 hierarchy is told."""
        if self.controllers[0].startswith("name="):
            return "none", *self.controllers
        return self.controllers

    def directory(self, path: str) -> str:
        """The directory of the cgroup ``path`` ("/" is the visible root)."""
        return self.mountpoint if path == "/" else self.mountpoint + path

    def __repr__(self) -> str:
        return f"Hierarchy({self.version}, {self.controllers!r}, {self.mountpoint!r}, {self.root!r})"


class Layout:
    """The hierarchies that containers join on this machine; `detect` makes one.

    ``v1`` are the version 1 hierarchies in the order of their mounts, ``unified`` is the version 2 one.
    """

    __slots__ = ("unified", "v1")

    def __init__(self, v1: list[Hierarchy], unified: Hierarchy | None) -> None:
        self.v1 = v1
        self.unified = unified

    @property
    def kind(self) -> str:
        """``v1``, ``v2``, ``hybrid`` or ``none``."""
        if self.unified is None:
            return "v1" if self.v1 else "none"
        return "hybrid" if self.v1 else "v2"

    def v1_hierarchy(self, controller: str) -> Hierarchy | None:
        """The version 1 hierarchy that has a controller, if one has."""
        for hierarchy in self.v1:
            if controller in hierarchy.controllers:
                return hierarchy
        return None

    def group(self, path: str) -> Group:
        """Name the cgroup ``path``, such as ``/orlop/abc``; nothing is created.

        Raises:
            InvalidConfig: the path is not absolute, is the root itself, or contains ``..``.
        """
        from orlop.linux.cgroup.group import Group

        return Group(self, path_rules.absolute(path))

    def path(self, cgroups_path: str | None, container_id: str, *, rootless: bool = False) -> str:
        """The path for `group` that a configuration's ``linux.cgroupsPath`` stands for.

        Absolute paths lie below the hierarchies' root, relative ones below ``/orlop``, none is
        ``/orlop/ID`` (runtime-spec, config-linux.md, "Cgroups Path"). Rootless on version 2, the relative
        ones lie next to the caller's own cgroup, in what was delegated to the user.

        Raises:
            InvalidConfig: the path contains ``..`` or cannot be a path.
            Unsupported: it is systemd's ``slice:prefix:name``.
        """
        parent = path_rules.DEFAULT_PARENT
        if rootless and self.kind == "v2":
            from orlop.linux.cgroup.delegation import delegated_parent

            parent = delegated_parent(self) or parent
        return path_rules.resolve(cgroups_path, container_id, parent)

    def record(self) -> list[Any]:
        """The hierarchies as JSON can hold them."""
        everything = self.v1 if self.unified is None else [*self.v1, self.unified]
        return [[h.version, ",".join(h.controllers), h.mountpoint, h.root] for h in everything]


def from_record(record: list[Any]) -> Layout:
    """The layout that `Layout.record` wrote down."""
    v1: list[Hierarchy] = []
    unified = None
    for version, controllers, mountpoint, root in record:
        hierarchy = Hierarchy(version, tuple(controllers.split(",")) if controllers else (), mountpoint, root)
        if version == 1:
            v1.append(hierarchy)
        else:
            unified = hierarchy
    return Layout(v1, unified)


def detect() -> Layout:
    """Find out how cgroups are mounted in this mount namespace.

    Raises:
        OSError: ``/proc/self/mountinfo`` cannot be read.
        Unsupported: it is not what proc(5) describes.
    """
    with open("/proc/self/mountinfo", "rb", buffering=0) as file:
        text = file.readall()
    return parse(text.decode("utf-8", "surrogateescape"))


def parse(mountinfo: str) -> Layout:
    """The layout that the text of a ``mountinfo`` file shows, proc(5).

    Where a hierarchy is mounted more than once, the mount below ``/sys/fs/cgroup`` counts, then the first.
    Later mounts cover earlier ones on the same point, so of two on one point the last counts.
    """
    v1: dict[tuple[str, ...], Hierarchy] = {}
    unified: Hierarchy | None = None
    for line in mountinfo.split("\n"):
        if " - cgroup" not in line:
            continue
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        kind = after.split(" ")
        if len(fields) < 6 or len(kind) < 3:
            raise Unsupported(f"a line of /proc/self/mountinfo that proc(5) does not describe: {line}")
        root = _unescape(fields[3])
        mountpoint = _unescape(fields[4])
        if kind[0] == "cgroup2":
            if unified is None or _better(mountpoint, unified.mountpoint):
                unified = Hierarchy(2, (), mountpoint, root)
        elif kind[0] == "cgroup":
            options = kind[2].split(",")
            controllers = tuple(option for option in options if option in V1_CONTROLLERS or option == SYSTEMD)
            known = v1.get(controllers)
            if controllers and (known is None or _better(mountpoint, known.mountpoint)):
                v1[controllers] = Hierarchy(1, controllers, mountpoint, root)
    return Layout(list(v1.values()), unified)


def _better(mountpoint: str, than: str) -> bool:
    usual = "/sys/fs/cgroup"
    return mountpoint == than or (mountpoint.startswith(usual) and not than.startswith(usual))


def _unescape(field: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash."""
    if "\\" not in field:
        return field
    first, *rest = field.split("\\")
    return first + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)
