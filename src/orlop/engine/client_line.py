"""The monitor's end of the connection to one client.

Nothing here waits for the client: frames that its socket does not take are queued. While a line that `holds` is behind,
the pump stops reading the container's output, so that the queue stays at one frame or two; on any other, output that
there is no room for is left out, and the client is told how much.
"""

from __future__ import annotations

import _socket
import os
import select
import sys

from orlop.engine import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Frames that wait for a client who does not hold the container back.
_PATIENCE = 4
#: For the descriptors that come with one frame.
_ROOM = _socket.CMSG_SPACE(4 * 2)
_ALL = frames.TO_STDOUT | frames.TO_STDERR | frames.TO_STDIN


class Line:
    """A client that may go away at any moment, which is no error.

    ``holds`` says that no output may be left out for it. ``attached`` are the streams that it has, as in `frames.ATTACH`.
    """

    __slots__ = ("_queue", "_skipped", "_socket", "attached", "holds", "open", "passed")

    def __init__(self, socket: _socket.socket, *, holds: bool = True, attached: int = _ALL) -> None:
        socket.setblocking(False)
        self._socket = socket
        self._queue: list[bytes] = []
        self._skipped = 0
        self.holds = holds
        self.attached = attached
        #: Descriptors that came with the last frame.
        self.passed: tuple[int, ...] = ()
        self.open = True

    @property
    def descriptor(self) -> int:
        """The socket's descriptor, for poll."""
        return self._socket.fileno()

    @property
    def is_behind(self) -> bool:
        """Whether frames wait for the client to read."""
        return bool(self._queue)

    def send(self, kind: bytes, body: bytes = b"") -> None:
        """Send a frame, now or when there is room."""
        if self.open:
            self._queue.append(kind + body)
            self.flush()

    def send_descriptors(self, kind: bytes, descriptors: Sequence[int]) -> None:
        """Send a frame without a body, and descriptors with it; a client that has not read what came before is let go of."""
        packed = b"".join(each.to_bytes(4, sys.byteorder) for each in descriptors)
        try:
            self._socket.sendmsg([kind], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)], _socket.MSG_NOSIGNAL)
        except OSError:
            self.close()

    def output(self, kind: bytes, data: bytes) -> None:
        """Send output, or leave it out where that is how it is to be."""
        if not self.attached & (frames.TO_STDOUT if kind == frames.STDOUT else frames.TO_STDERR):
            return
        if not self.holds and len(self._queue) >= _PATIENCE:
            self._skipped += len(data)
            return
        self.send(kind, data)

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        try:
            while self._queue:
                self._socket.send(self._queue[0], _socket.MSG_NOSIGNAL)
                del self._queue[0]
                if self._skipped and not self._queue:
                    self._queue.append(frames.SKIPPED + self._skipped.to_bytes(8, "little"))
                    self._skipped = 0
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def receive(self) -> Iterator[tuple[bytes, bytes]]:
        """The frame that came, if one did; afterwards ``open`` tells whether the client is still there."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(frames.LARGEST + 1, _ROOM, _socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        if ancillary:
            packed = ancillary[0][2]
            self.passed = tuple(int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
        if data:
            yield data[:1], data[1:]
            for each in self.passed:  # what nobody has taken
                os.close(each)
            self.passed = ()
        else:
            self.close()

    def finish(self) -> None:
        """Deliver what waits, however slowly the client reads, and close."""
        while self.open and self._queue:
            poll = select.poll()
            poll.register(self._socket.fileno(), select.POLLOUT)
            poll.poll()
            self.flush()
        self.close()

    def close(self) -> None:
        """The client is gone, or has been told everything."""
        if self.open:
            self.open = False
            self._queue = []
            self._socket.close()
