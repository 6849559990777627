"""Answering a launcher's door: who calls, from where, and whether we are still the right one to ask."""

from __future__ import annotations

import _socket
import os
import select
import sys

import orlop
from orlop import json_text
from orlop.engine import birth, frames, launch
from orlop.linux import inotify, mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST_REQUEST = 160 << 10
#: Seconds that a connected caller may take to say what it wants.
_PATIENCE = 1.0
#: File systems of which the kernel knows all changes (statfs(2)): ext2 to ext4, xfs, btrfs, tmpfs, overlay, f2fs.
_LOCAL = frozenset((0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0x794C7630, 0xF2F52010))


class Reception:
    """What a caller is checked against: our namespaces, and the code that we have loaded.

    ``watch`` is the descriptor by which the kernel tells of changes of that code, or -1.
    """

    __slots__ = ("_files", "_namespaces", "watch")

    def __init__(self) -> None:
        self._namespaces = [_identity(os.stat(f"/proc/self/ns/{kind}")) for kind in ("user", "mnt", "net")]
        self.watch = _watch()
        self._files = _loaded_files()

    def receive(self, client: _socket.socket) -> birth.Call:
        """Read the request of a caller who has connected.

        Raises:
            NoCall: it is not served, and has been told so.
        """
        has_changed = self.has_changed()  # takes a while, in which the caller gets its request ready
        try:
            client.settimeout(_PATIENCE)
            data, descriptors = _read(client)
        except OSError:
            raise birth.NoCall(birth.FAILED) from None
        try:
            problem = self._problem(client, descriptors)
        finally:
            for each in descriptors:
                os.close(each)
        if problem:
            _answer(client, frames.REFUSED, problem)
            raise birth.NoCall(birth.FAILED)
        try:
            request = json_text.loads(data)
        except ValueError as error:
            _answer(client, frames.REFUSED, f"malformed request: {error}")
            raise birth.NoCall(birth.FAILED) from None
        if has_changed or not _is_for_us(request):
            _answer(client, frames.OUTDATED, "")
            raise birth.NoCall(birth.OUTDATED)
        return birth.Call(client, data, request)

    def _problem(self, client: _socket.socket, descriptors: list[int]) -> str:
        """Why the caller is not served; empty if it is."""
        credentials = client.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        if int.from_bytes(credentials[4:8], sys.byteorder) != os.geteuid():
            return f"the launcher serves uid {os.geteuid()} only"
        if [_identity(os.fstat(each)) for each in descriptors] != self._namespaces:
            return "the launcher is in another user, mount or network namespace"
        return ""

    def has_changed(self) -> bool:
        """Whether a file that we have loaded code from is another one by now.

        As long as nothing at all has changed where they are, one look stands for those at hundreds of files.
        """
        if self.watch >= 0:
            poll = select.poll()
            poll.register(self.watch, select.POLLIN)
            if not poll.poll(0):
                path, when = self._files[0]
                return _changed(path) != when  # or else all of it has been moved
        return any(_changed(path) != when for path, when in self._files)

    def has_changed_at_last(self) -> bool:
        """The same, for who is not going to ask again, and is to have nothing of ours open then."""
        changed = self.has_changed()
        if self.watch >= 0:
            os.close(self.watch)
            self.watch = -1
        return changed


def _is_for_us(request: dict[str, Any]) -> bool:
    return bool(request.get("version") == orlop.__version__ and request.get("package") == launch.package())


def _read(client: _socket.socket) -> tuple[bytes, list[int]]:
    data, ancillary, _, _ = client.recvmsg(_LARGEST_REQUEST, _socket.CMSG_SPACE(8 * 4), _socket.MSG_CMSG_CLOEXEC)
    descriptors: list[int] = []
    for level, kind, packed in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            descriptors += [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed) - 3, 4)]
    return data, descriptors


def _answer(client: _socket.socket, kind: bytes, reason: str) -> None:
    try:
        client.send(kind + reason.encode(), _socket.MSG_NOSIGNAL)
    except OSError:
        return  # it has gone; there is nobody to tell


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _loaded_files() -> list[tuple[str, int]]:
    """The files that this process's code came from, and when each was changed."""
    files = []
    for name, module in sys.modules.items():
        path = getattr(module, "__file__", None)
        if path and name.partition(".")[0] == "orlop":
            files.append((path, _changed(path)))
    return files


def _watch() -> int:
    directories = {os.path.dirname(path) for path, _ in _loaded_files()}
    try:
        for directory in directories:
            descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                if mount.statfs_type(descriptor) not in _LOCAL:
                    return -1  # files may be changed by another machine, of which the kernel does not tell
            finally:
                os.close(descriptor)
        return inotify.watch_contents(directories)
    except OSError:
        return -1  # the user watches too many already; it goes without


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
