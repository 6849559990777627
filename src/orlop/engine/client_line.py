"""The monitor's end of the connection to the client that started the container.

Nothing here waits for the client: frames that its socket does not take are queued, and the pump stops reading
the container's output meanwhile, so that the queue stays at one frame or two.
"""

from __future__ import annotations

import _socket
import select

from orlop.engine import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Line:
    """A client that may go away at any moment, which is no error."""

    __slots__ = ("_queue", "_socket", "open")

    def __init__(self, socket: _socket.socket) -> None:
        socket.setblocking(False)
        self._socket = socket
        self._queue: list[bytes] = []
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

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        try:
            while self._queue:
                self._socket.send(self._queue[0], _socket.MSG_NOSIGNAL)
                del self._queue[0]
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def receive(self) -> Iterator[tuple[bytes, bytes]]:
        """The frame that came, if one did; afterwards ``open`` tells whether the client is still there."""
        try:
            data = self._socket.recv(frames.LARGEST + 1)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            yield data[:1], data[1:]
        else:
            self.close()

    def close(self) -> None:
        """The client is gone, or has been told everything."""
        if self.open:
            self.open = False
            self._queue = []
            self._socket.close()

    def finish(self) -> None:
        """Deliver what waits, however slowly the client reads, and close."""
        while self.open and self._queue:
            poll = select.poll()
            poll.register(self._socket.fileno(), select.POLLOUT)
            poll.poll()
            self.flush()
        self.close()
