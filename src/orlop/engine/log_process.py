"""Logs that the monitor does not write itself: of a process that does, which may wait for whom it likes, or of nobody."""

from __future__ import annotations

import _socket
import os
import select
import time

from orlop.engine import frames, launch
from orlop.linux import prctl
from orlop.options import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

DEFAULT_BUFFER = 1 << 20
#: Seconds for writing the last of the log when the container has ended; who takes longer goes on by itself.
_PATIENCE = 3.0


class NoLog:
    """Where output goes that nobody records."""

    __slots__ = ()
    descriptor = -1
    waits = False
    is_behind = False

    def flush(self) -> None:
        """Nothing waits."""

    def write(self, stream: str, data: bytes) -> None:
        """Forget it."""

    def close(self) -> None:
        """Nothing to close."""


class ProcessLog:
    """The monitor's end of a log that a child writes. ``open_sinks`` makes, in the child, the writers.

    With ``mode=non-blocking`` what does not fit into the buffer is forgotten; else the container has to wait.
    """

    __slots__ = ("_buffer", "_child", "_queue", "_size", "_socket")

    def __init__(self, open_sinks: Callable[[], list[Any]], options: Mapping[str, str]) -> None:
        self._queue: list[bytes] = []
        self._size = 0
        self._buffer = -1
        if options.get("mode") == "non-blocking":
            self._buffer = size(options["max-buffer-size"]) if "max-buffer-size" in options else DEFAULT_BUFFER
        self._socket, theirs = launch.pair()
        self._socket.setblocking(False)
        self._child = os.fork()
        if self._child == 0:
            status = 1
            try:
                prctl.set_name("orlop-log")
                os.dup2(theirs.fileno(), 3)
                launch.detach_from_caller(3)  # the monitor's locks and the container's streams above all
                _record(_socket.socket(fileno=3), open_sinks())
                status = 0
            finally:
                os._exit(status)
        theirs.close()

    @property
    def descriptor(self) -> int:
        """What poll finds writable when there is room again."""
        return self._socket.fileno()

    @property
    def waits(self) -> bool:
        """Whether something is to be written when there is room."""
        return bool(self._queue)

    @property
    def is_behind(self) -> bool:
        """Whether it can take no more for now."""
        return self._buffer < 0 and bool(self._queue)

    def write(self, stream: str, data: bytes) -> None:
        """Pass output on, now or when there is room."""
        if 0 <= self._buffer < self._size + len(data):
            return
        self._queue.append((frames.STDERR if stream == "stderr" else frames.STDOUT) + data)
        self._size += len(data)
        self.flush()

    def flush(self) -> None:
        """Go on with what waits."""
        try:
            while self._queue:
                self._socket.send(self._queue[0], _socket.MSG_NOSIGNAL)
                self._size -= len(self._queue[0]) - 1
                del self._queue[0]
        except BlockingIOError:
            return
        except OSError:  # the process was killed: what was to be logged is lost, the container goes on
            self._queue = []
            self._size = 0

    def close(self) -> None:
        """Pass the last on, and wait a while until it is written."""
        end = time.monotonic() + _PATIENCE
        while self._queue and (left := end - time.monotonic()) > 0:
            poll = select.poll()
            poll.register(self._socket.fileno(), select.POLLOUT)
            poll.poll(left * 1000)
            self.flush()
        self._socket.close()
        try:
            process = os.pidfd_open(self._child)
        except ProcessLookupError:
            return
        poll = select.poll()
        poll.register(process, select.POLLIN)
        if poll.poll(max(0.0, end - time.monotonic()) * 1000):
            os.waitpid(self._child, 0)
        os.close(process)


def _record(source: _socket.socket, sinks: list[Any]) -> None:
    """The child's whole life."""
    while frame := source.recv(frames.LARGEST + 1):
        stream = "stderr" if frame[:1] == frames.STDERR else "stdout"
        for sink in sinks:
            sink.write(stream, frame[1:])
    for sink in sinks:
        sink.close()
