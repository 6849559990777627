"""What a container's ``/sys/fs/cgroup`` consists of.

On version 2 it is the hierarchy itself. On version 1 and hybrid it is a tmpfs with a directory for each
hierarchy, and symbolic links from single controllers to the hierarchy that they share with others
(``cpu`` to ``cpu,cpuacct``), as programs expect to find them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.cgroup.group import Group


class Mount:
    """One hierarchy as it is to appear in a container.

    ``name`` is its directory below ``/sys/fs/cgroup``, empty for version 2 alone, which is that directory.
    ``filesystem`` and ``options`` are what to mount a new instance with, in a cgroup namespace;
    ``source`` is what to bind without one: the group's own directory in the host's hierarchy, of which
    ``mountpoint`` is the root. ``links`` are the names that shall be symbolic links to ``name``.
    """

    __slots__ = ("filesystem", "links", "mountpoint", "name", "options", "source")

    def __init__(
        self, name: str, filesystem: str, options: str, mountpoint: str, source: str, links: tuple[str, ...]
    ) -> None:
        self.name = name
        self.filesystem = filesystem
        self.options = options
        self.mountpoint = mountpoint
        self.source = source
        self.links = links

    def __repr__(self) -> str:
        return f"Mount({self.name!r}, {self.filesystem!r}, {self.options!r}, {self.source!r}, {self.links!r})"


def mounts(group: Group) -> list[Mount]:
    """The mounts for a group, version 1 first; one, with an empty name, where there is only version 2."""
    found = []
    for hierarchy in group.layout.v1:
        name = hierarchy.name
        # A named hierarchy is mounted with "none,name=systemd": it has no controller.
        options = ",".join(hierarchy.controllers)
        if options.startswith("name="):
            options = "none," + options
        links = tuple(c for c in hierarchy.controllers if c != name) if len(hierarchy.controllers) > 1 else ()
        source = hierarchy.directory(group.path)
        found.append(Mount(name, "cgroup", options, hierarchy.mountpoint, source, links))
    unified = group.layout.unified
    if unified is not None:
        name = unified.name if found else ""
        found.append(Mount(name, "cgroup2", "", unified.mountpoint, unified.directory(group.path), ()))
    return found
