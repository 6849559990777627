"""Processes of which an engine has one at most, and only while somebody needs it: the resolver of names, the proxy of ports.

Whoever needs one has sockets at which work may come. A monitor waits for that with its own poll; when it comes, it connects
to the process, starting it if there is none, and sends it the sockets. From then on the process waits at them, and
the monitor for the connection's end only: if the process is killed, work that comes meanwhile waits in the kernel, and the
next of it has another process started. When its last connection has ended, the process ends.

``<run root>/<name>.sock`` is where it listens, and ``<run root>/<name>.lock`` is locked for as long as it lives. Lock and
listening socket are made before the fork, so that nobody who comes later has to wait until it is ready.
"""

from __future__ import annotations

import _socket
import fcntl
import gc
import os
import select
import sys
import time
from _struct import Struct

from orlop.engine import launch, monitor, own_cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_FLOCK = Struct("hhqqi4x")  # struct flock: l_type, l_whence, l_start, l_len, l_pid
_BACKLOG = 1024
#: Milliseconds until the next attempt, where one process is just coming or going.
_PAUSE = 20
#: Milliseconds that a process may take to end which has closed everything.
_ENDING = 100
#: How often in a row it may end within so many seconds, and seconds that it is left alone then, longer each time.
_PATIENCE = 3
_MOMENT = 1.0
_REST = 0.1
_LONGEST_REST = 10.0
_LARGEST = 1 << 16
_MOST_PASSED = 16
_KIND = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC


class Summons:
    """An errand of a monitor's pump: has a process come when there is work at one of ``watched``.

    ``live`` is the process's whole life, a function of the listening socket and the run directory; as it is imported by
    the process itself, a text ``module:function``. It ends with `leave`. ``message`` is what to tell it, ``passed`` the
    descriptors that go with that (`receive`); the caller keeps them.
    """

    __slots__ = (
        "_began",
        "_child",
        "_failures",
        "_is_due",
        "_line",
        "_live",
        "_message",
        "_name",
        "_passed",
        "_rests_until",
        "_run_root",
        "_watched",
    )

    def __init__(
        self, run_root: str, name: str, live: str, watched: Sequence[int], message: bytes, passed: Sequence[int]
    ) -> None:
        self._run_root = run_root
        self._name = name
        self._live = live
        self._watched = tuple(watched)
        self._message = message
        self._passed = tuple(passed)
        self._line: _socket.socket | None = None
        self._child = 0
        self._is_due = False
        #: When we last sent something, how often in a row the process ended at once after that, and how long we leave it alone.
        self._began = 0.0
        self._failures = 0
        self._rests_until = 0.0

    def register(self, poll: select.poll) -> float | None:
        """Have ``poll`` tell of work, or of the end of the process that does it."""
        if self._line is not None:
            poll.register(self._line.fileno(), select.POLLIN)
            return None
        if self._rests_until:
            return max(0.0, self._rests_until - time.monotonic()) * 1000
        if self._is_due:
            return _PAUSE
        for descriptor in self._watched:
            poll.register(descriptor, select.POLLIN)
        return None

    def look(self, descriptors: set[int]) -> None:
        """See to what is due; ``descriptors`` are those that poll found ready."""
        if self._line is not None:
            if self._line.fileno() in descriptors:
                self._hear_end()
        elif self._rests_until:
            if time.monotonic() >= self._rests_until:
                self._rests_until = 0.0
        elif self._is_due or not descriptors.isdisjoint(self._watched):
            self._summon()

    @property
    def is_at_work(self) -> bool:
        """Whether the process is there, and was sent everything."""
        return self._line is not None

    def call(self) -> None:
        """Have the process come although there is no work yet."""
        if self._line is None:
            self._summon()

    def replace(self, watched: Sequence[int], passed: Sequence[int]) -> None:
        """Have other sockets from now on; a process that is at work already is told."""
        self._watched = tuple(watched)
        self._passed = tuple(passed)
        if self._line is not None:
            self._send(self._line)

    def close(self, patience: float = 0) -> None:
        """Let go of the process; it has so many milliseconds to let go of what it was sent."""
        if self._line is not None:
            if patience:
                self._line.shutdown(_socket.SHUT_WR)
                poll = select.poll()
                poll.register(self._line.fileno(), select.POLLIN)
                poll.poll(patience)
            self._line.close()
            self._line = None
        self._reap(0)

    def _hear_end(self) -> None:
        """The process has ended. If it does so again and again, it cannot be helped by starting it at once."""
        self._failures = self._failures + 1 if time.monotonic() - self._began < _MOMENT else 0
        if self._failures > _PATIENCE:
            self._rests_until = time.monotonic() + min(_LONGEST_REST, _REST * 2 ** (self._failures - _PATIENCE))
        if self._line is not None:
            self._line.close()
            self._line = None
        self._reap(_ENDING)

    def _reap(self, patience: float) -> None:
        """Wait for so many milliseconds for the process, if it is our child, in case that it is just ending."""
        if not self._child:
            return
        try:
            process = os.pidfd_open(self._child)
            try:
                poll = select.poll()
                poll.register(process, select.POLLIN)
                if not poll.poll(patience):
                    return  # another time
            finally:
                os.close(process)
            os.waitpid(self._child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # somebody has waited for it already
        self._child = 0

    def _summon(self) -> None:
        line = connect(self._run_root, self._name)
        if line is None and (child := start(self._run_root, self._name, self._live)):
            self._child = child
            line = connect(self._run_root, self._name)
        self._is_due = line is None
        if line is not None:
            self._send(line)

    def _send(self, line: _socket.socket) -> None:
        packed = b"".join(each.to_bytes(4, sys.byteorder) for each in self._passed)
        try:
            line.sendmsg([self._message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)], _socket.MSG_NOSIGNAL)
        except OSError:  # it has just ended
            line.close()
            self._line = None
            self._is_due = True
        else:
            self._line = line
            self._began = time.monotonic()


def connect(run_root: str, name: str) -> _socket.socket | None:
    """A connection to the process; None if there is none."""
    client = _socket.socket(_socket.AF_UNIX, _KIND)
    directory = -1
    try:
        directory = os.open(run_root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        client.connect(f"/proc/self/fd/{directory}/{name}.sock")  # a socket's own path may have 107 bytes only
    except OSError:
        client.close()
        return None
    finally:
        if directory >= 0:
            os.close(directory)
    return client


def start(run_root: str, name: str, live: str) -> int:
    """Start the process; its pid, 0 if there is one already, or it cannot be made now."""
    try:
        lock = os.open(f"{run_root}/{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return 0  # the run directory was taken away
    try:
        # Not fcntl's other lock: the child is to inherit it.
        fcntl.fcntl(lock, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        listener = _listen(run_root, name)
        try:
            child = os.fork()
            if child == 0:
                _become(run_root, name, live, listener, lock)
        finally:
            listener.close()
    except OSError:
        return 0  # somebody else has the lock, or there can be no process more
    finally:
        os.close(lock)
    return child


def _listen(run_root: str, name: str) -> _socket.socket:
    listener = _socket.socket(_socket.AF_UNIX, _KIND | _socket.SOCK_NONBLOCK)
    directory = os.open(run_root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    path = f"/proc/self/fd/{directory}/{name}.sock"
    try:
        try:
            listener.bind(path)
        except OSError:
            os.unlink(path)  # of one that was killed
            listener.bind(path)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.close(directory)
    return listener


def _become(run_root: str, name: str, live: str, listener: _socket.socket, lock: int) -> None:
    """The child's whole life."""
    status = 1
    try:
        os.setsid()
        launch.detach_from_caller(listener.fileno(), lock)  # the monitor's lock and the container's streams above all
        monitor.set_name(f"orlop-{name}")
        own_cgroup.enter("service")
        gc.enable()  # which monitors do without
        module, _, function = live.partition(":")
        getattr(__import__(module, fromlist=[function]), function)(listener, run_root)
        status = 0
    finally:
        own_cgroup.leave()
        os._exit(status)


def leave(run_root: str, name: str, listener: _socket.socket) -> None:
    """In the process: be there no more, before it ends.

    Who connects now finds nobody. Who has connected and was not accepted hears of the end, and has the next one started.
    """
    os.unlink(f"{run_root}/{name}.sock")
    listener.close()


def receive(connection: _socket.socket) -> tuple[bytes, list[int]]:
    """In the process: what somebody sent, with descriptors; an empty message if that is gone.

    Raises:
        BlockingIOError: there is nothing yet, and the connection was set not to wait.
    """
    room = _socket.CMSG_SPACE(4 * _MOST_PASSED)
    try:
        message, ancillary, _, _ = connection.recvmsg(_LARGEST, room, _socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return b"", []
    packed = ancillary[0][2] if ancillary else b""
    return message, [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4)]
