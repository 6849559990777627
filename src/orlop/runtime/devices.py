"""The container's /dev: device nodes, the links that programs expect, and the terminal multiplexer.

Everything happens relative to one descriptor of the real ``/dev`` below the root, so that a ``/dev`` that is a
symbolic link in the image leads nowhere (CVE-2026-41579). Sources: runtime-spec, config-linux.md, "Devices",
"Default Devices" and "Dev symbolic links".
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.errors import StepFailed
from orlop.linux import mount, path
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_DEVICES: tuple[tuple[str, int, int], ...] = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
)
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
)
_TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
_NOT_ALLOWED = (errno.EPERM, errno.EACCES)


class Node:
    """A device node: its path, its type and mode, its number, and whose it is."""

    __slots__ = ("gid", "mode", "number", "uid", "where")

    def __init__(self, where: str, mode: int, number: int, uid: int = 0, gid: int = 0) -> None:
        self.where = where
        self.mode = mode
        self.number = number
        self.uid = uid
        self.gid = gid

    @classmethod
    def configured(cls, device: dict[str, Any]) -> Node:
        """The node that an entry of ``linux.devices`` asks for."""
        kind = _TYPES[device["type"]]
        number = 0 if kind == stat.S_IFIFO else os.makedev(device["major"], device["minor"])
        mode = kind | (device["fileMode"] if device.get("fileMode") is not None else 0o666) & 0o7777
        return cls(device["path"].rstrip("/"), mode, number, device.get("uid") or 0, device.get("gid") or 0)

    @property
    def parent(self) -> str:
        """The path of its directory."""
        return self.where.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Its name in there."""
        return self.where.rpartition("/")[2]


def nodes(devices: list[dict[str, Any]]) -> list[Node]:
    """The default devices, but those that are configured as well, and the configured ones."""
    configured = {"/" + each["path"].strip("/") for each in devices}
    listed = [
        Node(f"/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor))
        for name, major, minor in DEFAULT_DEVICES
        if f"/dev/{name}" not in configured
    ]
    return listed + [Node.configured(each) for each in devices]


def links() -> list[tuple[str, str]]:
    """Symbolic links in ``/dev``, beside that to the multiplexer, by name."""
    return [*_LINKS, ("core", "/proc/kcore")] if os.path.exists("/proc/kcore") else [*_LINKS]


def populate(root: int, devices: list[dict[str, Any]]) -> None:
    """Make the default devices, those of the configuration, and the links."""
    with step("open", "/dev"):
        os.close(path.ensure_directory(root, "dev"))
        directory = path.open_real_directory(root, "dev")
    previous = os.umask(0)
    try:
        for node in nodes(devices):
            if node.parent == "/dev":
                _make_node(directory, node)
            else:
                _make(root, node)
        for name, target in links():
            _make_link(directory, name, target)
        _replace_ptmx(directory)
    finally:
        os.umask(previous)
        os.close(directory)


def make_configured(root: int, device: dict[str, Any]) -> None:
    """Make one entry of ``linux.devices`` below the root; its directory is made if it is not there.

    Raises:
        StepFailed: something else is there, or the kernel refuses.
    """
    _make(root, Node.configured(device))


def _make(root: int, node: Node) -> None:
    with step("make device", node.where):
        directory = path.ensure_directory(root, node.parent)
    try:
        _make_node(directory, node)
    finally:
        os.close(directory)


def _make_node(directory: int, node: Node) -> None:
    try:
        os.mknod(node.name, node.mode, node.number, dir_fd=directory)
    except FileExistsError:
        about = os.stat(node.name, dir_fd=directory, follow_symlinks=False)
        if stat.S_IFMT(about.st_mode) != stat.S_IFMT(node.mode) or about.st_rdev != node.number:
            raise StepFailed("make device", node.where, "something else is there", errno.EEXIST) from None
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise StepFailed("make device", node.where, error.strerror or "", error.errno or 0) from None
        _bind_from_host(directory, node.name, node.mode, node.number, node.where)
        return
    if node.uid or node.gid:
        with step("change owner of device", node.where):
            os.chown(node.name, node.uid, node.gid, dir_fd=directory, follow_symlinks=False)


def _bind_from_host(directory: int, name: str, mode: int, number: int, where: str) -> None:
    """A user namespace may not make device nodes; the host's own is mounted instead."""
    with step("make device", where):
        source = os.open(where, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            about = os.fstat(source)
            if stat.S_IFMT(about.st_mode) != stat.S_IFMT(mode) or about.st_rdev != number:
                raise StepFailed(
                    "make device", where, "not permitted here, and the host has another one there", errno.EPERM
                )
            tree = mount.clone(source)
        finally:
            os.close(source)
        try:
            flags = os.O_CREAT | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(name, flags | os.O_EXCL, 0o666, dir_fd=directory))
            target = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            try:
                mount.attach(tree, target)
            finally:
                os.close(target)
        finally:
            os.close(tree)


def _make_link(directory: int, name: str, target: str) -> None:
    with step("make link", f"/dev/{name}"):
        try:
            os.symlink(target, name, dir_fd=directory)
        except FileExistsError:
            pass  # the image's own is left alone


def _replace_ptmx(directory: int) -> None:
    """``/dev/ptmx`` must be the one of the container's own devpts."""
    with step("make link", "/dev/ptmx"):
        try:
            os.unlink("ptmx", dir_fd=directory)
        except FileNotFoundError:
            pass  # a new /dev has none
        os.symlink("pts/ptmx", "ptmx", dir_fd=directory)
