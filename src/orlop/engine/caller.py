"""A process that has a child of the launcher do something in its place, as if it did it itself.

For that the kernel has to treat both alike, and what it does not, the child takes over: see `Caller.become`. What stays
the launcher's are its resource limits, its priority, its cgroup and its session, as for all that it does for callers.
"""

from __future__ import annotations

import _signal
import _socket
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST = 160 << 10
_STREAMS = 3
#: With the streams come what /proc has on the caller, and its working directory.
_DESCRIPTORS = _STREAMS + 2
_COUNTS = 8

_NAMESPACES = ("user", "mnt", "pid", "net", "uts", "ipc", "cgroup", "time")
#: Lines of /proc/PID/status that say what a process may do (proc_pid_status(5)).
_RIGHTS = (
    *(b"Uid", b"Gid", b"Groups", b"NoNewPrivs", b"Seccomp", b"Seccomp_filters"),
    *(b"CapInh", b"CapPrm", b"CapEff", b"CapBnd", b"CapAmb"),
)

#: As Python itself does when it starts.
_IGNORED = (_signal.SIGPIPE, _signal.SIGXFSZ)
_NOT_OURS = (_signal.SIGKILL, _signal.SIGSTOP)
_FIRST_REAL_TIME = 32


class Surroundings:
    """What has to be the same for two processes to be treated alike: namespaces, root directory and rights."""

    __slots__ = ("_facts", "status")

    def __init__(self, process: int) -> None:
        """``process`` is a descriptor of a process's directory in /proc.

        Raises:
            OSError: it has gone, or may do what we may not.
        """
        text = _read("status", process)
        self.status = dict(line.partition(b":\t")[::2] for line in text.split(b"\n"))
        self._facts: list[Any] = [self.status.get(name) for name in _RIGHTS]
        try:
            self._facts.append(_read("attr/current", process))
        except OSError:
            self._facts.append(None)  # no security module that labels processes
        for name in ("root", *(f"ns/{kind}" for kind in _NAMESPACES)):
            try:
                found = os.stat(name, dir_fd=process)
            except FileNotFoundError:
                continue  # a kernel without such namespaces
            self._facts.append((found.st_dev, found.st_ino))

    def differ_from(self, others: Surroundings) -> bool:
        """Whether the kernel would treat two processes differently."""
        return self._facts != others._facts


def _read(name: str, process: int) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def own_surroundings() -> Surroundings:
    """Those of the calling process."""
    process = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return Surroundings(process)
    finally:
        os.close(process)


class Caller:
    """Who is at the other end of a connection, by its first packet.

    That packet has two counts of four bytes, in the machine's byte order; as many ``words``, and as many variables
    ``NAME=value``, each ended by a null byte. With it come descriptors: the three standard streams, /proc/self, and
    the working directory.
    """

    __slots__ = ("_connection", "_descriptors", "_variables", "words")

    def __init__(self, connection: _socket.socket) -> None:
        """Wait for the packet.

        Raises:
            OSError: the caller has gone.
            ValueError: the packet is not such a one.
        """
        self._connection = connection
        room = _socket.CMSG_SPACE(_DESCRIPTORS * 4)
        data, ancillary, flags, _ = connection.recvmsg(_LARGEST, room, _socket.MSG_CMSG_CLOEXEC)
        packed = ancillary[0][2] if ancillary else b""
        self._descriptors = [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4)]
        count = int.from_bytes(data[:4], sys.byteorder)
        strings = data[_COUNTS:].split(b"\0")
        if (
            len(self._descriptors) != _DESCRIPTORS
            or flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC)
            or len(strings) != count + int.from_bytes(data[4:_COUNTS], sys.byteorder) + 1
        ):
            raise ValueError("malformed request")
        self.words = [os.fsdecode(each) for each in strings[:count]]
        self._variables: dict[bytes, bytes] = {}
        for each in strings[count:-1]:
            name, _, value = each.partition(b"=")
            if name:
                self._variables.setdefault(name, value)  # as Python reads them

    @property
    def stdin(self) -> int:
        """A descriptor of its standard input."""
        return self._descriptors[0]

    @property
    def stdout(self) -> int:
        """A descriptor of its standard output."""
        return self._descriptors[1]

    def variable(self, name: str) -> str:
        """A variable of its environment; empty if there is none."""
        return os.fsdecode(self._variables.get(name.encode(), b""))

    def surroundings(self) -> Surroundings | None:
        """Where it is and what it may do, from the kernel; None if it tells us of another process than itself.

        Raises:
            OSError: it has gone, or may do what we may not.
        """
        found = Surroundings(self._descriptors[_STREAMS])
        return found if int(found.status.get(b"Pid", b"0")) == self.pid else None

    @property
    def pid(self) -> int:
        """Its process id, from the kernel."""
        credentials = self._connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        return int.from_bytes(credentials[:4], sys.byteorder)

    def about(self, name: str) -> bytes:
        """What a file of its directory in /proc says.

        Raises:
            OSError: it has gone.
        """
        return _read(name, self._descriptors[_STREAMS])

    def become(self, surroundings: Surroundings) -> None:
        """Take over its streams, working directory, environment, file mode mask and what it does not mind being told.

        Raises:
            OSError: its directory is not open to it any more.
        """
        os.fchdir(self._descriptors[_STREAMS + 1])
        os.umask(int(surroundings.status[b"Umask"], 8))
        for stream in range(_STREAMS):
            os.dup2(self._descriptors[stream], stream)
        for descriptor in self._descriptors:
            os.close(descriptor)
        os.environ.clear()
        os.environb.update(self._variables)
        time.tzset()
        _dispose_of_signals(int(surroundings.status[b"SigIgn"], 16))
        sys.stdin = _stream(0, "r", "surrogateescape")
        sys.stdout = _stream(1, "w", "surrogateescape")
        sys.stderr = _stream(2, "w", "backslashreplace")


def _stream(descriptor: int, mode: str, errors: str) -> Any:
    buffering = 1 if descriptor == 2 else -1
    return open(descriptor, mode, buffering, "utf-8", errors, closefd=False)


def _dispose_of_signals(ignored: int) -> None:
    """Do with signals what Python does in a process that was started with these ones (a bit each) ignored."""
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    for number in range(1, _FIRST_REAL_TIME):
        if number in _NOT_OURS:
            continue
        if ignored >> (number - 1) & 1 or number in _IGNORED:
            _signal.signal(number, _signal.SIG_IGN)
        elif number == _signal.SIGINT:
            _signal.signal(number, _signal.default_int_handler)
        else:
            _signal.signal(number, _signal.SIG_DFL)
