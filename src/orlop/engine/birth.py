"""How a container comes to its monitor: by a child that makes it, the `starter`, which tells what was born.

This is the monitor's side. Making a container takes a thousand small things in memory, and a forked process gets a copy
of every page that it touches. Done by the monitor, that would be some three megabytes for as long as the container
lives; done by a child of the monitor, it is gone with the child.
"""

from __future__ import annotations

import _socket
import os
import time
from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.linux.seccomp.cache import Cache

_LARGEST = 1 << 18
#: Among a monitor's descriptors, what holds the claims on the container's ports, and what tells that the proxy has work.
PORTS = "ports"
PORTS_WATCHED = "ports_watched"
#: Among them, the sockets at which the container asks for names.
NAMES = "names"
NAMES_TCP = "names_tcp"
#: The descriptors that a monitor may be given, by name.
_ENDS = (
    *("client", "lock", "control", "pidfd", "log", "stdin", "stdout", "stderr", "console"),
    *(PORTS, PORTS_WATCHED, NAMES, NAMES_TCP),
)
#: What a monitor is told first: init's pid, `Born.flags`, `Born.began`, and for each of `_ENDS` which of the descriptors that
#: come along it is, or -1. Then comes when that was, for people, and after a line's end the request.
_HEAD = Struct(f"iid{len(_ENDS)}b")
_NUMBERS = tuple(Struct(f"{count}i") for count in range(len(_ENDS) + 1))
_ROOM = _socket.CMSG_SPACE(_NUMBERS[-1].size)

#: What a starter's exit status tells its monitor.
STARTED = 0
FAILED = 1
OUTDATED = 3
CLOSED = 4
#: What its monitor knows of a starter that was killed: that the program runs, or nothing.
KILLED_AFTER = 5
KILLED = 6

#: What the client hears whose starter was killed, as from `starter.describe`.
BROKEN_OFF = (
    b'{"class":"OrlopError","message":"the process that was starting the container was killed: start it again",'
    b'"exit_code":125}'
)

#: What a starter says to its monitor when the program runs.
_RUNS = b"+"

#: In `Born.flags`: a client's end of input is the container's.
ENDS_INPUT = 1
#: In `Born.flags`: it has a health check.
IS_CHECKED = 2
#: In `Born.flags`: it ends when the client who started it goes.
IS_LEASHED = 4
#: In `Born.flags`: it has no pid namespace of its own, so that its orphans fall to the monitor.
GETS_ORPHANS = 8
#: In `Born.flags`: it is on a network, and there was no resolver of names yet.
LACKS_RESOLVER = 16


class Call:
    """A request to start something, and the connection that it came on."""

    __slots__ = ("client", "data", "request")

    def __init__(self, client: _socket.socket, data: bytes, request: dict[str, Any]) -> None:
        self.client = client
        self.data = data
        self.request = request


class NoCall(Exception):
    """There is nothing to start; ``status`` is what to end with."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Born:
    """What a monitor hears of the container that was made for it.

    ``pid`` is its init's. ``ends`` are descriptors by name: ``client``, its connection; ``lock``, the monitor's;
    ``control``, where others come; ``pidfd``, of the init; ``log``; and our ends of its standard streams, ``console`` or
    ``stdout``, ``stderr`` and perhaps ``stdin``. The bits of ``flags`` say what is special about it: `ENDS_INPUT`,
    `IS_CHECKED`, `IS_LEASHED`, `GETS_ORPHANS`, `LACKS_RESOLVER`. ``began`` is when that was, by the monotonic clock.
    ``error`` is what is to be recorded beside its end.

    What is not needed before the end stays as it came, so that an idle monitor has few pages of its own.
    """

    __slots__ = ("_told", "began", "ends", "error", "flags", "pid")

    def __init__(self, pid: int, flags: int, began: float, ends: dict[str, int], told: bytes) -> None:
        self.pid = pid
        self.flags = flags
        self.began = began
        self.ends = ends
        self.error = ""
        self._told = told

    @property
    def started_at(self) -> str:
        """When its program was started."""
        return self._told[_HEAD.size :].partition(b"\n")[0].decode()

    @property
    def data(self) -> bytes:
        """The request."""
        return self._told[_HEAD.size :].partition(b"\n")[2]


class Starter:
    """The monitor's side: a child that waits for a call and starts what it asks for.

    ``receive`` runs in the child.
    """

    __slots__ = ("_pid", "_socket", "descriptor")

    def __init__(self, receive: Callable[[], Call], filters: Cache) -> None:
        self._socket, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        self._pid = os.fork()
        if self._pid == 0:
            status = FAILED
            try:
                self._socket.close()
                from orlop.engine import starter

                status = starter.serve(receive, theirs, filters)
            finally:
                os._exit(status)
        theirs.close()
        #: What poll finds hung up when the child has ended.
        self.descriptor = self._socket.fileno()

    def wait_born(self) -> Born | None:
        """Wait until the container's init is there, its program not yet running; None if there is to be none.

        Whatever fails, then or later, the client is told by the child.
        """
        return receive(self._socket)

    def wait_done(self) -> int:
        """Wait for the child's end; one of `STARTED`, `FAILED`, `OUTDATED`, `CLOSED`, `KILLED_AFTER` and `KILLED`."""
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        if code < 0:
            code = KILLED_AFTER if self._socket.recv(1) == _RUNS else KILLED
        self._socket.close()
        return code


def tell(monitor: _socket.socket, pid: int, started_at: str, flags: int, ends: dict[str, int], data: bytes) -> None:
    """Tell a monitor, at the other end of a `Starter`'s socket, what was born for it: see `Born`."""
    names = [*ends]
    places = [names.index(name) if name in ends else -1 for name in _ENDS]
    head = _HEAD.pack(pid, flags, time.monotonic(), *places)
    monitor.sendmsg(
        [head, started_at.encode(), b"\n", data],
        [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _NUMBERS[len(names)].pack(*ends.values()))],
        _socket.MSG_NOSIGNAL,
    )


def tell_runs(monitor: _socket.socket) -> None:
    """Tell a monitor that the program runs, in case that we are killed before we end."""
    monitor.send(_RUNS, _socket.MSG_NOSIGNAL)


def receive(starter: _socket.socket) -> Born | None:
    """What `tell` told; None if there was nothing to tell."""
    told, ancillary, _, _ = starter.recvmsg(_LARGEST, _ROOM, _socket.MSG_CMSG_CLOEXEC)
    if not told:
        return None
    pid, flags, began, *places = _HEAD.unpack_from(told)
    packed = ancillary[0][2]
    numbers = _NUMBERS[len(packed) // 4].unpack(packed)
    ends = {}
    for name, place in zip(_ENDS, places, strict=True):
        if place >= 0:
            ends[name] = numbers[place]
    return Born(pid, flags, began, ends, told)


def pipes(*, open_stdin: bool) -> tuple[tuple[int, int, int], dict[str, int]]:
    """A program's standard streams, and our ends of them by name."""
    ours: dict[str, int] = {}
    if open_stdin:
        stdin, ours["stdin"] = os.pipe2(os.O_CLOEXEC)
    else:
        stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    ours["stdout"], stdout = os.pipe2(os.O_CLOEXEC)
    ours["stderr"], stderr = os.pipe2(os.O_CLOEXEC)
    return (stdin, stdout, stderr), ours
