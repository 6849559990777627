"""The container's view of the control groups, mounted where the configuration has a mount of type ``cgroup``.

runtime-spec, config-linux.md, "Control groups". With a cgroup namespace of its own the container gets fresh
mounts, whose root is its own group; without, its own groups are bound from the host, never more
than those (CVE-2023-25809).
"""

from __future__ import annotations

import os

from orlop.linux import mount
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.cgroup import Group, Hierarchy
    from orlop.runtime.mounts import Mount

_ATTRIBUTES = mount.MOUNT_ATTR_NOSUID | mount.MOUNT_ATTR_NODEV | mount.MOUNT_ATTR_NOEXEC


class CgroupMounter:
    """Mounts a group's hierarchies; ``is_private`` says whether the container has its own cgroup namespace."""

    __slots__ = ("_group", "_is_private")

    def __init__(self, group: Group, *, is_private: bool) -> None:
        self._group = group
        self._is_private = is_private

    def make(self, target: int, each: Mount) -> None:
        """Mount on ``target`` what this machine's layout asks for."""
        attributes = each.options.set_attributes
        if not self._group.hierarchies:
            tree = _host_view(attributes)
        elif self._group.layout.v1 and each.kind == "cgroup":
            self._make_v1(target, each, attributes)
            return
        elif self._group.layout.unified is None:
            tree = mount.new("cgroup2", "cgroup", attributes=attributes)
        else:
            tree = self._hierarchy(self._group.layout.unified, attributes)
        try:
            mount.attach(tree, target)
        finally:
            os.close(tree)

    def _make_v1(self, target: int, each: Mount, attributes: int) -> None:
        """A tmpfs with a directory for each hierarchy, and links to those with several controllers."""
        tmpfs = mount.new("tmpfs", "cgroup", data=("mode=755",), attributes=attributes & ~mount.MOUNT_ATTR_RDONLY)
        try:
            mount.attach(tmpfs, target)
            for hierarchy in self._group.hierarchies:
                self._mount_hierarchy(tmpfs, hierarchy, attributes | _ATTRIBUTES, each.destination)
                if len(hierarchy.controllers) > 1:
                    for controller in hierarchy.controllers:
                        os.symlink(hierarchy.name, controller, dir_fd=tmpfs)
            if attributes & mount.MOUNT_ATTR_RDONLY:
                mount.set_attributes(tmpfs, mount.MOUNT_ATTR_RDONLY)
        finally:
            os.close(tmpfs)

    def _mount_hierarchy(self, parent: int, hierarchy: Hierarchy, attributes: int, destination: str) -> None:
        with step("mount", f"cgroup {hierarchy.name} on {destination}/{hierarchy.name}"):
            os.mkdir(hierarchy.name, 0o755, dir_fd=parent)
            target = os.open(hierarchy.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                tree = self._hierarchy(hierarchy, attributes)
                try:
                    mount.attach(tree, target)
                finally:
                    os.close(tree)
            finally:
                os.close(target)

    def _hierarchy(self, hierarchy: Hierarchy, attributes: int) -> int:
        if not self._is_private:
            tree = mount.clone(mount.AT_FDCWD, hierarchy.directory(self._group.path))
            mount.set_attributes(tree, attributes)
            return tree
        if hierarchy.version == 2:
            return mount.new("cgroup2", "cgroup", attributes=attributes)
        return mount.new("cgroup", "cgroup", data=hierarchy.mount_options, attributes=attributes)


def _host_view(attributes: int) -> int:
    """For a container without cgroups of its own: the caller's, to look at only (CVE-2023-25809)."""
    tree = mount.clone(mount.AT_FDCWD, "/sys/fs/cgroup", recursive=True)
    mount.set_attributes(tree, attributes | mount.MOUNT_ATTR_RDONLY, recursive=True)
    return tree
