"""The container's mounts: read from the configuration as data, then made one after the other.

What is bind-mounted is cloned by the runtime, outside, with the host's own paths and rights; init, inside, attaches
it. Targets are opened below the root by descriptor (CVE-2021-30465). Nothing may be mounted over or into
/proc but a procfs and the few files that container tools replace (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561).
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.errors import StepFailed
from orlop.linux import mount, path
from orlop.runtime.spec.mount_options import parse
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.runtime.spec.mount_options import MountOptions

#: Files below /proc that may be replaced: what lxcfs and the like present per container.
_REPLACEABLE = (
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "slabinfo",
    "stat",
    "swaps",
    "uptime",
    "net/dev",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
)
_NOT_ALLOWED = (errno.EPERM, errno.EACCES)
#: What a user namespace that does not own the network or IPC namespace may not mount anew, but may bind.
_BOUND_INSTEAD = {"sysfs": "/sys", "mqueue": "/dev/mqueue"}
_CGROUP_KINDS = ("cgroup", "cgroup2")
#: Whose files the kernel's policy labels itself, one by one.
_WITHOUT_LABEL = ("proc", "sysfs", "mqueue", *_CGROUP_KINDS)


class Mount:
    """One entry of ``mounts``, for a bind mount the detached copy of its source, for a tmpfs the mode it inherits.

    ``subpath`` is what is to be bound of the source: whatever that means to a process whose root directory the source
    is, since it may be somebody's who is hostile. (It is no field of the specification's, which has nothing like it.)
    """

    __slots__ = ("destination", "kind", "mode", "options", "source", "subpath", "tree")

    def __init__(self, destination: str, kind: str, source: str, options: MountOptions, subpath: str = "") -> None:
        self.destination = destination
        self.kind = kind
        self.source = source
        self.options = options
        self.subpath = subpath
        self.tree = -1
        self.mode: int | None = None

    @property
    def is_real_directory(self) -> bool:
        """Whether the target must be a directory of the root itself, reached through no link.

        What is masked and what tells about processes must be where the configuration says, and not where an image
        with a link at ``/proc`` has it.
        """
        if not self.options.bind:
            return self.kind in ("proc", "sysfs")
        is_kernel = mount.statfs_type(self.tree) in (mount.PROC_SUPER_MAGIC, mount.SYSFS_MAGIC)
        return is_kernel and stat.S_ISDIR(os.fstat(self.tree).st_mode)

    def describe(self) -> str:
        """For messages: what on what."""
        return f"{self.source or self.kind} on {self.destination}"

    def close(self) -> None:
        """Let go of the detached copy."""
        if self.tree >= 0:
            os.close(self.tree)
            self.tree = -1


def read(entries: list[dict[str, Any]], bundle: str, label: str = "") -> list[Mount]:
    """Translate ``mounts``; relative bind sources lie in the bundle.

    ``label`` is ``linux.mountLabel``, the SELinux context of the files of every new file system that is the
    container's own.
    """
    result = []
    for entry in entries:
        kind = entry.get("type") or "none"
        options = parse(entry.get("options") or (), kind)
        source = entry.get("source") or ""
        if options.bind and not source.startswith("/"):
            source = f"{bundle}/{source}"
        if label and not options.bind and not options.remount and kind not in _WITHOUT_LABEL:
            options.data.append(f"context={label}")
        subpath = entry["subpath"] if isinstance(entry.get("subpath"), str) else ""
        result.append(Mount("/" + entry["destination"].strip("/"), kind, source, options, subpath))
    return result


def clone_source(each: Mount) -> None:
    """Open a bind mount's source on the host as a detached mount, with the attributes that were asked for.

    Raises:
        StepFailed: it is not there, or the kernel refuses an attribute.
    """
    options = each.options
    with step("mount", each.describe()):
        if not each.subpath:
            each.tree = mount.clone(mount.AT_FDCWD, each.source, recursive=options.recursive)
            return
        root = os.open(each.source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            part = path.open_in_root(root, each.subpath)
        finally:
            os.close(root)
        try:
            each.tree = mount.clone(part, recursive=options.recursive)
        finally:
            os.close(part)


def detach_from_peers(tree: int, propagation: int) -> None:
    """Put a cloned tree into the container's propagation, so that what it mounts does not appear outside."""
    with step("detach from the host's propagation"):
        mount.set_attributes(tree, propagation=propagation, recursive=True)


def map_ids(each: Mount, entry: dict[str, Any], linux: dict[str, Any]) -> None:
    """Give a cloned source the id mapping that its mount asks for (mount_setattr(2), Linux 5.12).

    Raises:
        StepFailed: the runtime lacks the right, or the file system cannot do it.
    """
    uids, gids = entry.get("uidMappings"), entry.get("gidMappings")
    if not (each.options.idmap or uids):
        return
    if each.tree < 0:
        raise StepFailed("map ids of mount", each.describe(), "only root can map the ids of a bind mount", errno.EPERM)
    with step("map ids of mount", each.describe()):
        descriptor = _user_namespace(uids, gids, linux)
        try:
            recursive = each.options.idmap == "ridmap"
            mount.set_attributes(each.tree, user_namespace=descriptor, recursive=recursive)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # Each file system has its own support: tmpfs since Linux 6.3, virtual ones and most remote ones have none.
            reason = "its file system cannot have its ids mapped on this kernel"
            raise StepFailed("map ids of mount", each.describe(), reason, errno.EINVAL) from None
        finally:
            os.close(descriptor)


def _user_namespace(uids: Any, gids: Any, linux: dict[str, Any]) -> int:
    """A descriptor of a user namespace with the mappings that a mount gives, or else of the container's own."""
    from orlop.linux import idmap  # few mounts ask for one

    if uids:
        return idmap.user_namespace(uids, gids)
    for each in linux.get("namespaces") or ():
        if each["type"] == "user" and each.get("path"):
            return os.open(each["path"], os.O_RDONLY | os.O_CLOEXEC)
    return idmap.user_namespace(linux["uidMappings"], linux["gidMappings"])


class Mounter:
    """Makes mounts below ``root``, a descriptor of the attached root mount."""

    __slots__ = ("_cgroups", "_late", "_procfs", "_root", "binds_dev")

    def __init__(self, root: int, mount_cgroups: Callable[[int, Mount], None]) -> None:
        self._root = root
        self._cgroups = mount_cgroups
        self._late: list[tuple[int, Mount]] = []
        self._procfs = -1
        #: Whether a directory from outside lies on /dev, wherever its destination said that it should.
        self.binds_dev = False

    @property
    def procfs(self) -> int:
        """The root of the container's own procfs as it was mounted, or -1."""
        return self._procfs

    def make(self, each: Mount) -> None:
        """Carry one mount out."""
        with step("mount", each.describe()):
            if each.options.remount:
                self._remount(each)
                return
            target = self._open_target(each)
            try:
                self._guard_proc(target, each)
                if each.kind in _CGROUP_KINDS and not each.options.bind:
                    self._cgroups(target, each)
                elif each.options.bind:
                    self._bind(each, target)
                else:
                    self._new(each, target)
            finally:
                os.close(target)

    def finish(self) -> None:
        """Make read-only the tmpfs mounts that had to be writable until everything below them was mounted."""
        for tree, each in self._late:
            with step("make read-only", each.destination):
                mount.set_attributes(tree, mount.MOUNT_ATTR_RDONLY)
            os.close(tree)
        self._late = []

    def _open_target(self, each: Mount) -> int:
        if each.is_real_directory:
            try:
                try:
                    return path.open_real_directory(self._root, each.destination)
                except FileNotFoundError:  # through no link up to here, so what is made now is where it should be
                    os.close(path.ensure_directory(self._root, each.destination))
                    return path.open_real_directory(self._root, each.destination)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise StepFailed(
                        "mount",
                        each.describe(),
                        "the destination must be a directory, not a symbolic link",
                        errno.ELOOP,
                    ) from None
                raise
        if each.options.bind and not stat.S_ISDIR(os.fstat(each.tree).st_mode):
            return path.ensure_file(self._root, each.destination)
        if each.kind == "tmpfs" and not each.options.bind:
            try:
                target = path.open_in_root(self._root, each.destination, os.O_PATH | os.O_DIRECTORY)
            except FileNotFoundError:
                return path.ensure_directory(self._root, each.destination)
            each.mode = stat.S_IMODE(os.fstat(target).st_mode)
            return target
        return path.ensure_directory(self._root, each.destination)

    def _guard_proc(self, target: int, each: Mount) -> None:
        """Refuse to hide or fake what the kernel says in /proc."""
        about = os.fstat(target)
        try:
            proc = path.open_in_root(self._root, "proc")
        except OSError:  # the image has none, and nothing was mounted on it
            return
        try:
            if os.path.samestat(about, os.fstat(proc)):
                is_procfs = each.kind == "proc" and not each.options.bind
                if each.options.bind:
                    is_procfs = mount.statfs_type(each.tree) == mount.PROC_SUPER_MAGIC
                if not is_procfs:
                    raise StepFailed("mount", each.describe(), "only a procfs can be mounted on /proc", errno.EPERM)
                return
            if mount.statfs_type(target) != mount.PROC_SUPER_MAGIC:
                return
            for name in _REPLACEABLE:
                try:
                    allowed = os.stat(name, dir_fd=proc, follow_symlinks=False)
                except OSError:  # this kernel has no such file
                    continue
                if os.path.samestat(about, allowed):
                    return
            raise StepFailed("mount", each.describe(), "nothing can be mounted inside /proc there", errno.EPERM)
        finally:
            os.close(proc)

    def _is_dev(self, about: os.stat_result) -> bool:
        try:
            directory = path.open_in_root(self._root, "dev")
        except OSError:  # the image has none yet
            return False
        try:
            return os.path.samestat(about, os.fstat(directory))
        finally:
            os.close(directory)

    def _bind(self, each: Mount, target: int) -> None:
        options = each.options
        about = os.fstat(target)
        if stat.S_ISDIR(about.st_mode) and self._is_dev(about):
            self.binds_dev = True
        if options.set_attributes or options.clear_attributes:
            mount.set_attributes(each.tree, options.set_attributes, options.clear_attributes)
        self._attach(each, each.tree, target)
        each.close()

    def _new(self, each: Mount, target: int) -> None:
        options = each.options
        attributes = options.set_attributes
        flags = options.superblock
        is_late = each.kind == "tmpfs" and bool(attributes & mount.MOUNT_ATTR_RDONLY)
        if is_late:
            attributes &= ~mount.MOUNT_ATTR_RDONLY
            flags = [flag for flag in flags if flag != "ro"]
        data = options.data
        if each.mode is not None:  # as in the image, unless a later option says otherwise
            data = [f"mode={each.mode:o}", *data]
        try:
            tree = mount.new(each.kind, each.source or each.kind, flags, data, attributes)
        except OSError as error:
            if each.kind not in _BOUND_INSTEAD or error.errno not in _NOT_ALLOWED:
                raise
            tree = mount.clone(mount.AT_FDCWD, _BOUND_INSTEAD[each.kind], recursive=True)
            if each.kind == "sysfs":  # the host's, with its cgroups, which this user may write to (CVE-2023-25809)
                attributes |= mount.MOUNT_ATTR_RDONLY
            mount.set_attributes(tree, attributes, recursive=True)
        keep = is_late
        try:
            if options.tmpcopyup:
                from orlop.runtime import copy_up

                copy_up.copy(target, tree)
            self._attach(each, tree, target)
            if each.kind == "proc" and each.destination == "/proc":
                self._procfs = tree
                keep = True
        finally:
            if not keep:
                os.close(tree)
        if is_late:
            self._late.append((tree, each))

    def _attach(self, each: Mount, tree: int, target: int) -> None:
        options = each.options
        mount.attach(tree, target)
        if options.recursive_set or options.recursive_clear:
            mount.set_attributes(tree, options.recursive_set, options.recursive_clear, recursive=True)
        for propagation in options.propagation:
            mount.set_attributes(
                tree, propagation=propagation & ~mount.MS_REC, recursive=bool(propagation & mount.MS_REC)
            )

    def _remount(self, each: Mount) -> None:
        options = each.options
        target = path.open_in_root(self._root, each.destination)
        try:
            if options.superblock or options.data:
                mount.reconfigure(target, options.superblock, options.data)
            mount.set_attributes(target, options.set_attributes, options.clear_attributes)
        finally:
            os.close(target)
