"""The container's file systems, as a list of system calls: what `mounts`, `devices` and `masks` do, where it is ordinary.

The functions bear the names of those that do the same by themselves, and what these find out first from the
configuration or from the host is found out by the same functions. What they find out in the container, and decide then, is
expected here to be as usual: if it is not, a call fails, and the container is made by those.
"""

from __future__ import annotations

import os
import stat

from orlop.linux import mount, number, path
from orlop.runtime import devices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from orlop.linux.call_list import CallList, Value
    from orlop.linux.cgroup import Group
    from orlop.runtime.mounts import Mount

    Descriptor = Value | int

_CGROUP_KINDS = ("cgroup", "cgroup2")
_CGROUP_ATTRIBUTES = mount.MOUNT_ATTR_NOSUID | mount.MOUNT_ATTR_NODEV | mount.MOUNT_ATTR_NOEXEC
_NEW_KINDS = ("proc", "tmpfs", "devpts", "mqueue", "sysfs", *_CGROUP_KINDS)
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_IN_ROOT = path.RESOLVE_IN_ROOT | path.RESOLVE_NO_MAGICLINKS
_NO_LINKS = _IN_ROOT | path.RESOLVE_NO_SYMLINKS
_BENEATH = path.RESOLVE_BENEATH | path.RESOLVE_NO_XDEV | path.RESOLVE_NO_MAGICLINKS | path.RESOLVE_NO_SYMLINKS

_ENOENT, _EPERM, _EEXIST, _ENOTDIR = 2, 1, 17, 20

# Of struct statx.
_STATX_SIZE = 256
STATX_BASIC = 0x7FF
MODE_AT = 28
DEVICE_AT = 128
#: The null device, there.
NULL_DEVICE = 1 | 3 << 32
_STATFS_SIZE = 128
_KIND = 0o170000


def can_be_masked(paths: Iterable[str]) -> bool:
    """Whether `mask` can mask these, all of them the kernel's own, which are on the host too."""
    return all(each.startswith(("/proc/", "/sys/")) for each in paths)


def are_ordinary(mounts: list[Mount], group: Group | None) -> bool:
    """Whether `make` can make these. ``group`` is the container's, if it has a cgroup namespace of its own."""
    if not mounts or mounts[0].kind != "proc" or mounts[0].destination != "/proc" or mounts[0].options.bind:
        return False
    for each in mounts:
        options = each.options
        if options.remount or options.tmpcopyup or ".." in each.destination or each.destination == "/":
            return False
        if options.bind:
            if each.tree < 0 or mount.statfs_type(each.tree) in (mount.PROC_SUPER_MAGIC, mount.SYSFS_MAGIC):
                return False
        elif each.kind not in _NEW_KINDS or (each.kind == "proc" and each is not mounts[0]):
            return False
        elif each.kind == "tmpfs" and not any(word.startswith("mode=") for word in options.data):
            return False  # it has the mode of the directory below
        elif each.kind in _CGROUP_KINDS and (group is None or not group.hierarchies):
            return False
    return True


class Lister:
    """Lists mounts below ``root``, a descriptor of the attached root mount."""

    __slots__ = ("_calls", "_late", "_new", "_root", "_statfs", "procfs", "statx")

    def __init__(self, calls: CallList, root: int) -> None:
        self._calls = calls
        self._root = root
        self._late: list[Value] = []
        self._new: dict[str, Value] = {}
        self._statfs = calls.room(_STATFS_SIZE)
        #: Where `look` writes to.
        self.statx = calls.room(_STATX_SIZE)
        #: The container's own procfs.
        self.procfs: Descriptor = -1

    def make(self, each: Mount, group: Group) -> None:
        """As `mounts.Mounter.make`."""
        target = self._open_target(each)
        if each.options.bind:
            options = each.options
            if options.set_attributes or options.clear_attributes:
                self._set_attributes(each.tree, options.set_attributes, options.clear_attributes)
            self._attach(each, each.tree, target)
        elif each.kind in _CGROUP_KINDS:
            self._mount_cgroups(target, each, group)
        else:
            self._make_new(each, target)

    def finish(self) -> None:
        """As `mounts.Mounter.finish`."""
        for tree in self._late:
            self._set_attributes(tree, mount.MOUNT_ATTR_RDONLY)

    def open_in_root(self, where: str, flags: int, *, root: Descriptor | None = None, resolve: int = _IN_ROOT) -> Value:
        """As `path.open_in_root`."""
        how = path.how(flags, resolve)
        directory = self._root if root is None else root
        return self._calls.call(number.OPENAT2, directory, os.fsencode(where), how, len(how))

    def _open_target(self, each: Mount) -> Value:
        calls = self._calls
        parent, _, name = each.destination.rpartition("/")
        if parent in self._new and not each.options.bind:
            calls.expect(calls.do(number.MKDIRAT, self._new[parent], os.fsencode(name), 0o755), _EEXIST)
        if each.kind in ("proc", "sysfs") and not each.options.bind:
            target = self.open_in_root(each.destination.strip("/"), _DIRECTORY | os.O_NOFOLLOW, resolve=_NO_LINKS)
        elif each.options.bind and not stat.S_ISDIR(os.fstat(each.tree).st_mode):
            target = self.open_in_root(each.destination, os.O_PATH)
        else:
            target = self.open_in_root(each.destination, _DIRECTORY)
        if each.kind != "proc" or each.options.bind:
            calls.do(number.FSTATFS, target, self._statfs)
            is_procfs = calls.check(calls.word(self._statfs), (1 << 64) - 1, mount.PROC_SUPER_MAGIC)
            calls.fail(_EPERM)
            calls.unless(is_procfs)
        return target

    def new(self, kind: str, source: str, flags: Iterable[str], data: Iterable[str], attributes: int) -> Value:
        """As `mount.new`."""
        calls = self._calls
        context = calls.call(number.FSOPEN, kind.encode(), mount.FSOPEN_CLOEXEC)
        for key, value in mount.parameters(source, flags, data):
            if value is None:
                calls.do(number.FSCONFIG, context, mount.FSCONFIG_SET_FLAG, key.encode(), 0, 0)
            else:
                calls.do(number.FSCONFIG, context, mount.FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0)
        calls.do(number.FSCONFIG, context, mount.FSCONFIG_CMD_CREATE, 0, 0, 0)
        return calls.call(number.FSMOUNT, context, mount.FSMOUNT_CLOEXEC, attributes)

    def _make_new(self, each: Mount, target: Value) -> None:
        options = each.options
        attributes = options.set_attributes
        flags = options.superblock
        is_late = each.kind == "tmpfs" and bool(attributes & mount.MOUNT_ATTR_RDONLY)
        if is_late:
            attributes &= ~mount.MOUNT_ATTR_RDONLY
            flags = [flag for flag in flags if flag != "ro"]
        tree = self.new(each.kind, each.source or each.kind, flags, options.data, attributes)
        self._attach(each, tree, target)
        if each.kind == "tmpfs":
            self._new[each.destination] = tree
        if each.kind == "proc" and each.destination == "/proc":
            self.procfs = tree
        if is_late:
            self._late.append(tree)

    def _attach(self, each: Mount, tree: Descriptor, target: Value) -> None:
        options = each.options
        self.attach(tree, target)
        if options.recursive_set or options.recursive_clear:
            self._set_attributes(tree, options.recursive_set, options.recursive_clear, recursive=True)
        for propagation in options.propagation:
            recursive = bool(propagation & mount.MS_REC)
            self._set_attributes(tree, propagation=propagation & ~mount.MS_REC, recursive=recursive)

    def attach(self, tree: Descriptor, target: Descriptor) -> None:
        """As `mount.attach`."""
        flags = mount.MOVE_MOUNT_F_EMPTY_PATH | mount.MOVE_MOUNT_T_EMPTY_PATH
        self._calls.do(number.MOVE_MOUNT, tree, b"", target, b"", flags)

    def _clone(self, tree: Descriptor, *, recursive: bool = False) -> Value:
        flags = mount.OPEN_TREE_CLONE | mount.OPEN_TREE_CLOEXEC | mount.AT_EMPTY_PATH
        return self._calls.call(number.OPEN_TREE, tree, b"", flags | (mount.AT_RECURSIVE if recursive else 0))

    def _set_attributes(
        self, tree: Descriptor, on: int = 0, off: int = 0, *, propagation: int = 0, recursive: bool = False
    ) -> None:
        set_attributes(self._calls, tree, mount.attribute_words(on, off, propagation), recursive=recursive)

    def _mount_cgroups(self, target: Value, each: Mount, group: Group) -> None:
        """As `cgroup_mounts.CgroupMounter.make`, in a cgroup namespace of the container's own."""
        calls = self._calls
        attributes = each.options.set_attributes
        if not (group.layout.v1 and each.kind == "cgroup"):
            self.attach(self.new("cgroup2", "cgroup", (), (), attributes), target)
            return
        tmpfs = self.new("tmpfs", "cgroup", (), ("mode=755",), attributes & ~mount.MOUNT_ATTR_RDONLY)
        self.attach(tmpfs, target)
        for hierarchy in group.hierarchies:
            name = os.fsencode(hierarchy.name)
            calls.do(number.MKDIRAT, tmpfs, name, 0o755)
            place = calls.call(number.OPENAT, tmpfs, name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, 0)
            if hierarchy.version == 2:
                tree = self.new("cgroup2", "cgroup", (), (), attributes | _CGROUP_ATTRIBUTES)
            else:
                tree = self.new("cgroup", "cgroup", (), hierarchy.mount_options, attributes | _CGROUP_ATTRIBUTES)
            self.attach(tree, place)
            if len(hierarchy.controllers) > 1:
                for controller in hierarchy.controllers:
                    calls.do(number.SYMLINKAT, name, tmpfs, controller.encode())
        if attributes & mount.MOUNT_ATTR_RDONLY:
            self._set_attributes(tmpfs, mount.MOUNT_ATTR_RDONLY)

    def populate(self, configured: list[dict[str, Any]]) -> None:
        """As `devices.populate`, in the new ``/dev``, in which nothing is yet, whatever else was mounted upon it."""
        calls = self._calls
        directory = self._new["/dev"]
        previous = calls.call(number.UMASK, 0)
        for node in devices.nodes(configured):
            name = os.fsencode(node.name)
            calls.do(number.MKNODAT, directory, name, node.mode, node.number)
            if node.uid or node.gid:
                calls.do(number.FCHOWNAT, directory, name, node.uid, node.gid, mount.AT_SYMLINK_NOFOLLOW)
        for link, target in devices.links():
            calls.do(number.SYMLINKAT, target.encode(), directory, link.encode())
        calls.do(number.SYMLINKAT, b"pts/ptmx", directory, b"ptmx")
        calls.do(number.UMASK, previous)

    def write_sysctls(self, sysctls: dict[str, str]) -> None:
        """As init does, by the container's own procfs."""
        from orlop.runtime.spec import sysctl as parameters  # loaded when the configuration was checked

        for name, value in sysctls.items():
            where = f"sys/{parameters.path_of(name)}"
            file = self.open_in_root(where, os.O_WRONLY, root=self.procfs, resolve=_BENEATH)
            text = str(value).encode()
            self._calls.do(number.WRITE, file, text, len(text))

    def protect(self, paths: Iterable[str]) -> None:
        """As `masks.protect`."""
        for protected in paths:
            first, target = self._open_protected(protected)
            tree = self._clone(target, recursive=True)
            self._set_attributes(tree, mount.MOUNT_ATTR_RDONLY, recursive=True)
            self.attach(tree, target)
            self._calls.expect(first, _ENOENT, _ENOTDIR)

    def mask(self, paths: Iterable[str]) -> None:
        """As `masks.mask`. What is there on the host decides what is expected here; the kernel mounts nothing else."""
        calls = self._calls
        masks: list[Value | None] = [None, None]
        for masked in paths:
            try:
                is_directory = stat.S_ISDIR(os.stat(masked).st_mode)
            except (FileNotFoundError, NotADirectoryError):
                first, _ = self._open_protected(masked)
                calls.fail(_EEXIST)
                calls.expect(first, _ENOENT, _ENOTDIR)
                continue
            first, target = self._open_protected(masked)
            before = masks[is_directory]
            if before is None:
                tree = masks[is_directory] = self._new_empty() if is_directory else self._new_null()
            else:
                tree = self._clone(before)
            self.attach(tree, target)

    def _open_protected(self, where: str) -> tuple[int, Value]:
        """As `masks._open`; returns the step's number as well, which fails if there is nothing."""
        if where.startswith("/proc/"):
            target = self.open_in_root(where.removeprefix("/proc/"), os.O_PATH, root=self.procfs)
        else:
            target = self.open_in_root(where, os.O_PATH)
        return len(self._calls) - 1, target

    def _new_empty(self) -> Value:
        options = ("nr_blocks=1", "nr_inodes=1")
        return self.new("tmpfs", "tmpfs", ("ro",), options, mount.MOUNT_ATTR_RDONLY)

    def _new_null(self) -> Value:
        tree = self._clone(self._open_null())
        self._set_attributes(tree, mount.MOUNT_ATTR_RDONLY)
        return tree

    def _open_null(self) -> Value:
        calls = self._calls
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        null = calls.call(number.OPENAT, mount.AT_FDCWD, b"/dev/null", flags, 0)
        self.look(null)
        calls.check(self.half(MODE_AT), _KIND, stat.S_IFCHR, _EPERM)
        calls.check(self.word(DEVICE_AT), (1 << 64) - 1, NULL_DEVICE, _EPERM)
        return null

    def look(self, file: Descriptor) -> None:
        """Find out what an open file is, for `half` and `word`."""
        self._calls.do(number.STATX, file, b"", mount.AT_EMPTY_PATH, STATX_BASIC, self.statx)

    def half(self, at: int) -> Value:
        """Four bytes of what was found out last."""
        return self._calls.half(self.statx, at)

    def word(self, at: int) -> Value:
        """Eight bytes of what was found out last."""
        return self._calls.word(self.statx, at)


def set_attributes(
    calls: CallList, tree: Descriptor, attributes: bytes, *, where: str = "", recursive: bool = False
) -> None:
    """As `mount.set_attributes`."""
    flags = (0 if where else mount.AT_EMPTY_PATH) | (mount.AT_RECURSIVE if recursive else 0)
    calls.do(number.MOUNT_SETATTR, tree, os.fsencode(where), flags, attributes, len(attributes))
