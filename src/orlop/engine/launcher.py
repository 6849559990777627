"""The warm launcher: a process that has everything imported and forks monitors for those who ask.

One per run directory. The first command that starts a container leaves it behind (see `launch`); it serves
callers with its own user id, user namespace and mount namespace, and goes when it was idle for a while. It
has no state: killing it costs the next command some milliseconds and no container anything.

A request is one packet on a SOCK_SEQPACKET connection: a JSON object, and with it descriptors of the
caller's user and mount namespaces, which only somebody in them can have. The connection then is the
monitor's line to its client (see `frames`).
"""

from __future__ import annotations

import _signal
import _socket
import errno
import fcntl
import gc
import os
import select
import sys

import orlop
from orlop import json_text
from orlop.engine import exec_monitor, filters, frames, launch, monitor, own_cgroup
from orlop.engine.location import Location
from orlop.linux import prctl, seccomp
from orlop.linux.cgroup import limits
from orlop.runtime import delete, kill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What a monitor imports only when it needs it would be its own instead of shared, and late.
PRELOADED = (delete, kill, seccomp)

SOCKET_NAME = "launcher.sock"
_LOCK_NAME = "launcher.lock"

#: Seconds after its last request and its last monitor that a launcher stays.
IDLE = 60
_LARGEST_REQUEST = 160 << 10
#: Seconds that a connected caller may take to say what it wants.
_PATIENCE = 1.0


def main(root: str, run_root: str, first: int, listen: bool) -> int:
    """Be the launcher, or with ``listen`` false only serve the connected socket ``first`` (-1: none)."""
    prctl.set_name("orlop-launcher")
    os.umask(0o022)
    location = Location(root, run_root, rootless=os.geteuid() != 0)
    own_cgroup.enter("launcher")
    launcher = Launcher(location)
    limits.load_all()
    gc.disable()  # a collection in a monitor would write to every page that it shares with us
    gc.collect()
    gc.freeze()
    if first >= 0:
        launcher.serve(_socket.socket(fileno=first))
    if listen and launcher.listen():
        launcher.run()
    own_cgroup.leave()
    return 0


class Launcher:
    """The launcher's loop."""

    __slots__ = (
        "_children",
        "_files",
        "_filters",
        "_listener",
        "_location",
        "_lock",
        "_namespaces",
        "_wake_reader",
        "_wake_writer",
    )

    def __init__(self, location: Location) -> None:
        self._location = location
        self._listener: _socket.socket | None = None
        self._lock = -1
        self._children: set[int] = set()
        self._namespaces = [_identity(os.stat(f"/proc/self/ns/{kind}")) for kind in ("user", "mnt")]
        self._filters = filters.kept(location)
        filters.warm(self._filters)
        self._files = _loaded_files()
        self._wake_reader, self._wake_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        _signal.signal(_signal.SIGCHLD, _wake)
        _signal.set_wakeup_fd(self._wake_writer)

    def listen(self) -> bool:
        """Open the socket for callers; False if another launcher has it."""
        directory = os.open(self._location.run_root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            name = f"/proc/self/fd/{directory}"  # a socket's own path may have 107 bytes only
            self._lock = os.open(f"{name}/{_LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            try:
                os.unlink(f"{name}/{SOCKET_NAME}")  # of a launcher that was killed
            except FileNotFoundError:
                pass
            kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
            self._listener = _socket.socket(_socket.AF_UNIX, kind)
            # Not open to anybody for a moment: the directory is ours alone, and the callers are checked.
            self._listener.bind(f"{name}/{SOCKET_NAME}")
            self._listener.listen(128)
            self._listener.setblocking(False)
        finally:
            os.close(directory)
        return True

    def run(self) -> None:
        """Serve until idle for `IDLE` seconds, told to end, or outdated."""
        for number in (_signal.SIGTERM, _signal.SIGINT):
            _signal.signal(number, _wake)
        poll = select.poll()
        poll.register(self._descriptor(), select.POLLIN)
        poll.register(self._wake_reader, select.POLLIN)
        while self._listener is not None:
            events = poll.poll(None if self._children else IDLE * 1000)
            if not events and not self._children:
                break
            for descriptor, _ in events:
                if descriptor == self._wake_reader:
                    if self._woken():
                        self._retire()
                else:
                    self._accept()
        self._retire()

    def _descriptor(self) -> int:
        return self._listener.fileno() if self._listener else -1

    def _woken(self) -> bool:
        """Take note of monitors that ended; True if a signal told us to end."""
        numbers = os.read(self._wake_reader, 4096)
        while self._children:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._children.clear()
                break
            if pid == 0:
                break
            self._children.discard(pid)
        return _signal.SIGTERM in numbers or _signal.SIGINT in numbers

    def _retire(self) -> None:
        """Stop listening; whoever had connected by then is still served."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        try:
            os.unlink(f"{self._location.run_root}/{SOCKET_NAME}")
        except FileNotFoundError:
            pass  # the run directory was taken away under us
        self._listener = listener
        while self._accept():
            pass
        self._listener = None
        listener.close()

    def _accept(self) -> bool:
        if self._listener is None:
            return False
        client = _next_caller(self._listener)
        if client is None:
            return False
        self.serve(client)
        return True

    def serve(self, client: _socket.socket) -> None:
        """Read one request and fork its monitor, or say why not."""
        try:
            client.settimeout(_PATIENCE)
            request = self._receive(client)
        except OSError:
            client.close()
            return
        if isinstance(request, str):
            _answer(client, frames.REFUSED, request)
        elif (
            request.get("version") != orlop.__version__
            or request.get("package") != launch.package()
            or self._is_outdated()
        ):
            # Gone before it says so: the caller's next step is to start another in its place.
            self._step_down()
            _answer(client, frames.OUTDATED, "")
        else:
            self._fork(request, client)
        client.close()

    def _step_down(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        os.unlink(f"{self._location.run_root}/{SOCKET_NAME}")
        os.close(self._lock)
        while (waiting := _next_caller(listener)) is not None:
            _answer(waiting, frames.OUTDATED, "")
            waiting.close()
        listener.close()

    def _receive(self, client: _socket.socket) -> dict[str, Any] | str:
        """The request, or the reason why it is not served."""
        credentials = client.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        user = int.from_bytes(credentials[4:8], sys.byteorder)
        data, ancillary, _, _ = client.recvmsg(_LARGEST_REQUEST, _socket.CMSG_SPACE(8 * 4), _socket.MSG_CMSG_CLOEXEC)
        descriptors = _descriptors(ancillary)
        try:
            if user != os.geteuid():
                return f"the launcher serves uid {os.geteuid()} only"
            if [_identity(os.fstat(each)) for each in descriptors] != self._namespaces:
                return "the launcher is in another user or mount namespace"
        finally:
            for each in descriptors:
                os.close(each)
        try:
            request = json_text.loads(data)
        except ValueError as error:
            return f"malformed request: {error}"
        return request if isinstance(request, dict) else "malformed request: not an object"

    def _is_outdated(self) -> bool:
        return any(_changed(path) != when for path, when in self._files)

    def _fork(self, request: dict[str, Any], client: _socket.socket) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            _answer(client, frames.REFUSED, f"fork: {os.strerror(error.errno or errno.EAGAIN)}")
            return
        if pid:
            self._children.add(pid)
            return
        status = 1
        try:
            _signal.set_wakeup_fd(-1)
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            for descriptor in (self._wake_reader, self._wake_writer, self._lock):
                if descriptor >= 0:
                    os.close(descriptor)
            if self._listener is not None:
                self._listener.close()
            serve = exec_monitor.run if "exec" in request else monitor.run
            serve(request, client, self._filters)
            status = 0
        finally:
            os._exit(status)


def _next_caller(listener: Any) -> _socket.socket | None:
    """A caller that has connected, if there is one."""
    try:
        # The C type's only way to accept; the package `socket` on top of it costs imports.
        descriptor, _ = listener._accept()  # noqa: SLF001
    except OSError:
        return None
    return _socket.socket(fileno=descriptor)


def _wake(_number: int, _frame: object) -> None:
    """Being called is enough: the signal's number is in the wake-up pipe."""


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found: list[int] = []
    for level, kind, packed in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            found += [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed) - 3, 4)]
    return found


def _answer(client: _socket.socket, kind: bytes, reason: str) -> None:
    try:
        client.send(kind + reason.encode(), _socket.MSG_NOSIGNAL)
    except OSError:
        return  # it has gone; there is nobody to tell


def _loaded_files() -> list[tuple[str, int]]:
    """The files that this process's code came from, and when each was changed."""
    files = []
    for name, module in sys.modules.items():
        path = getattr(module, "__file__", None)
        if path and name.partition(".")[0] == "orlop":
            files.append((path, _changed(path)))
    return files


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
