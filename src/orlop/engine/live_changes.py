"""Mounts and device nodes that come to, and go from, a container that runs.

A forked child enters the container's mount namespace by the pidfd of its init. What is bound was cloned before, with the
host's paths and rights; an ordinary user's, who may do that only in a namespace of their own, in one that belongs to the
container's user namespace. In the container every path is opened below its root (openat2), so that links
lead nowhere else, whatever it does meanwhile; nothing is imported, and nothing of its /proc is believed.

What was done is undone by the child when something fails, when it is told to, and when whoever wants it is killed.
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.errors import NotFound, OrlopError, StepFailed
from orlop.linux import mount, namespace, prctl
from orlop.linux import path as paths
from orlop.runtime import channel, copy_up, devices, mounts
from orlop.runtime.process import forbid_imports
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from orlop.runtime.channel import Channel

_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_KEEP = "keep"


class Changes:
    """What is to change, in the order in which it does.

    Attributes:
        gone: of each mount that goes its target, and device and inode of what was mounted there, if they are known.
        mounts: entries of an OCI configuration.
        gone_nodes: of each device node that goes its path and its number.
        nodes: entries of ``linux.devices``.
    """

    __slots__ = ("gone", "gone_nodes", "mounts", "nodes")

    def __init__(self) -> None:
        self.gone: list[tuple[str, tuple[int, int] | None]] = []
        self.mounts: list[dict[str, Any]] = []
        self.gone_nodes: list[tuple[str, int]] = []
        self.nodes: list[dict[str, Any]] = []

    def __bool__(self) -> bool:
        return bool(self.gone or self.mounts or self.gone_nodes or self.nodes)


class made:  # noqa: N801 - used like a function, as contextlib's are
    """``with made(process, changes, linux, rootless=…) as done: … done.keep()`` changes a running container.

    ``process`` is the pidfd of its init, ``linux`` of its configuration. Without `keep` everything is undone at the end
    of the block.

    Raises:
        OrlopError: something cannot be done; nothing of it was then.
    """

    __slots__ = ("_channel", "_child")

    def __init__(self, process: int, changes: Changes, linux: dict[str, Any], *, rootless: bool) -> None:
        wanted = mounts.read(changes.mounts, "/")
        ours, theirs = channel.pair()
        self._channel = ours
        try:
            if not rootless:
                _clone(wanted, changes.mounts, linux)
            self._child = os.fork()
            if self._child == 0:
                ours.close()
                _be_child(theirs, process, changes, wanted, rootless=rootless)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            for each in wanted:
                each.close()

    def __enter__(self) -> made:
        answer = self._channel.receive()
        if answer is None or answer[0]["kind"] == "error":
            self.__exit__()
            if answer is None:
                raise OrlopError("a process of orlop's own ended without a word")
            raise channel.revive(answer[0])
        return self

    def keep(self) -> None:
        """Let what was done be so."""
        self._channel.send(_KEEP)

    def __exit__(self, *_exception: object) -> None:
        self._channel.close()
        os.waitpid(self._child, 0)


def _clone(wanted: Sequence[mounts.Mount], entries: Sequence[dict[str, Any]], linux: dict[str, Any]) -> None:
    for each, entry in zip(wanted, entries, strict=True):
        if each.options.bind:
            mounts.clone_source(each)
            mounts.detach_from_peers(each.tree, mount.MS_PRIVATE)
            mounts.map_ids(each, entry, linux)


def _be_child(to: Channel, process: int, changes: Changes, wanted: Sequence[mounts.Mount], *, rootless: bool) -> None:
    """Do it, and wait for the word; never returns."""
    status = 1
    work = _Work()
    try:
        try:
            prctl.set_dumpable(False)  # nothing of the container is to look into us
            os.umask(0o022)
            if rootless:
                namespace.join(process, namespace.CLONE_NEWUSER)
                prctl.set_dumpable(False)
                namespace.unshare(namespace.CLONE_NEWNS)
                mount.set_attributes(mount.AT_FDCWD, propagation=mount.MS_PRIVATE, recursive=True, path="/")
                _clone(wanted, changes.mounts, {})
            work.own = os.open("/proc/self/fd", _PLACE)  # the host's, before the container's comes into view
            forbid_imports()
            namespace.join(process, namespace.CLONE_NEWNS)
            work.root = os.open("/", _PLACE)
            work.carry_out(changes, wanted)
        except Exception as error:  # noqa: BLE001 - it is told to whoever forked us
            work.undo()
            to.send("error", **channel.describe(error))
            os._exit(1)
        to.send("done")
        answer = to.receive()
        if answer is None or answer[0]["kind"] != _KEEP:
            work.undo()
        status = 0
    finally:
        os._exit(status)


class _Work:
    """What a child does in the container, and how that is undone."""

    def __init__(self) -> None:
        self.own = -1
        self.root = -1
        self._undo: list[Callable[[], object]] = []

    def carry_out(self, changes: Changes, wanted: Sequence[mounts.Mount]) -> None:
        for target, identity in changes.gone:
            with step("unmount", target):
                self._unmount(target, identity)
        for path, device in changes.gone_nodes:
            with step("remove device", path):
                self._remove_node(path, device)
        mounter = mounts.Mounter(self.root, _no_cgroups)
        for each in wanted:
            self._mount(mounter, each)
        mounter.finish()
        for node in changes.nodes:
            self._make_node(node)

    def undo(self) -> None:
        """Take everything back, the last first; what the container itself has changed since cannot be."""
        while self._undo:
            try:
                self._undo.pop()()
            except OSError:
                continue

    def _mount(self, mounter: mounts.Mounter, each: mounts.Mount) -> None:
        bound = os.dup(each.tree) if each.tree >= 0 else -1
        mounter.make(each)
        if bound < 0:  # a new file system: what has just been mounted is on top
            bound = paths.open_in_root(self.root, each.destination)
            if mount.statfs_type(bound) != _TMPFS:
                raise StepFailed("mount", each.describe(), "the container moves what is there", errno.EBUSY)
        self._undo.append(lambda: self._detach(bound))

    def _unmount(self, target: str, identity: tuple[int, int] | None) -> None:
        place = self._mounted(target, identity)
        copy = mount.clone(place, recursive=True)
        is_directory = stat.S_ISDIR(os.fstat(place).st_mode)
        self._detach(place)
        os.close(place)
        self._undo.append(lambda: self._put_back(copy, target, is_directory=is_directory))

    def _mounted(self, target: str, identity: tuple[int, int] | None) -> int:
        """Open what is mounted at a target.

        The container may have put a link on the way, to have us unmount what masks a file of /proc. So either there is none,
        or what is found is what was mounted.
        """
        strict = paths.RESOLVE_IN_ROOT | paths.RESOLVE_NO_SYMLINKS | paths.RESOLVE_NO_MAGICLINKS
        try:
            return paths.open_at(self.root, target, os.O_PATH, resolve=strict)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOENT, errno.ENOTDIR):
                raise
        try:
            place = paths.open_in_root(self.root, target)
        except OSError:
            raise NotFound(f"the container has moved what was mounted at {target}") from None
        about = os.fstat(place)
        if identity != (about.st_dev, about.st_ino):
            os.close(place)
            raise NotFound(f"the container has moved what was mounted at {target}")
        return place

    def _detach(self, place: int) -> None:
        """Unmount what an open descriptor is the root of, which the kernel checks; files that are open stay so."""
        os.fchdir(self.own)
        try:
            mount.unmount(str(place))
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise NotFound("nothing is mounted there any more") from None
            raise

    def _put_back(self, copy: int, target: str, *, is_directory: bool) -> None:
        make = paths.ensure_directory if is_directory else paths.ensure_file
        place = make(self.root, target)
        try:
            mount.attach(copy, place)
        finally:
            os.close(place)

    def _make_node(self, node: dict[str, Any]) -> None:
        directory = self._open_parent(node["path"])
        try:
            was_there = _is_there(directory, node["path"])
        finally:
            os.close(directory)
        before = os.umask(0)
        try:
            devices.make_configured(self.root, node)
        finally:
            os.umask(before)
        if not was_there:
            number = os.makedev(node["major"], node["minor"])
            self._undo.append(lambda: self._unlink_node(node["path"], number))

    def _remove_node(self, path: str, device: int) -> None:
        about = self._unlink_node(path, device)
        if about is None:
            return  # the container has removed it itself, or put something else there, which is its own
        node = {
            "path": path,
            "type": "c" if stat.S_ISCHR(about.st_mode) else "b",
            "major": os.major(device),
            "minor": os.minor(device),
            "fileMode": stat.S_IMODE(about.st_mode),
            "uid": about.st_uid,
            "gid": about.st_gid,
        }
        self._undo.append(lambda: devices.make_configured(self.root, node))

    def _unlink_node(self, path: str, device: int) -> os.stat_result | None:
        try:
            directory = self._open_parent(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            name = path.rpartition("/")[2]
            if not _is_there(directory, path):
                return None
            about = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if about.st_rdev != device or not (stat.S_ISCHR(about.st_mode) or stat.S_ISBLK(about.st_mode)):
                return None
            os.unlink(name, dir_fd=directory)
            return about
        finally:
            os.close(directory)

    def _open_parent(self, path: str) -> int:
        return paths.ensure_directory(self.root, path.rpartition("/")[0] or "/")


#: tmpfs (linux/magic.h)
_TMPFS = 0x01021994


def _is_there(directory: int, path: str) -> bool:
    try:
        os.stat(path.rpartition("/")[2], dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _no_cgroups(_target: int, _mount: object) -> None:
    """Control groups are not among what can be mounted later."""


#: Loaded for whoever mounts a tmpfs with tmpcopyup: nothing can be imported in the container.
LOADED = (copy_up,)
