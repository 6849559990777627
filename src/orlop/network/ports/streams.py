"""The proxy's connections of TCP: bytes go from one side to the other in the kernel, by splice(2), through pipes.

A pipe is borrowed for as long as bytes wait in it, so that a quiet connection has its two sockets and nothing else.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.network.names.loop import Loop

#: In bytes: what an ordinary user may have (pipe-max-size in pipe(7)). The larger, the fewer turns for the same bytes.
_PIPE_SIZE = 1 << 20
_F_SETPIPE_SZ = 1031
#: Empty pipes that are kept for the next one who needs one.
_SPARE_PIPES = 64
_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
#: Closing with this tells the other side that the connection was broken off (RST).
_ABRUPT = struct.pack("ii", 1, 0)

#: The two sockets of a connection, and what stands for one that nothing is waited for at, not even its end.
_CLIENT, _SERVER = 0, 1
_PARKED = -1


class Pipes:
    """Pipes that nobody uses just now."""

    def __init__(self) -> None:
        self._spare: list[tuple[int, int]] = []

    def borrow(self) -> tuple[int, int]:
        """An empty pipe.

        Raises:
            OSError: there can be none more.
        """
        if self._spare:
            return self._spare.pop()
        pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.fcntl(pipe[1], _F_SETPIPE_SZ, _PIPE_SIZE)
        except OSError:
            pass  # an ordinary user who has many: the size that it has will do
        return pipe

    def give_back(self, pipe: tuple[int, int], *, is_empty: bool) -> None:
        """Be done with one."""
        if is_empty and len(self._spare) < _SPARE_PIPES:
            self._spare.append(pipe)
        else:
            os.close(pipe[0])
            os.close(pipe[1])


class _Direction:
    """Bytes on their way from one socket to the other."""

    __slots__ = ("has_ended", "is_done", "pipe", "sink", "source", "waiting")

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.pipe: tuple[int, int] | None = None
        self.waiting = 0  # bytes in the pipe
        self.has_ended = False  # the source has said all
        self.is_done = False  # and the sink has got it

    def move(self, pipes: Pipes) -> bool:
        """Move what there is and what there is room for; whether anything was.

        Raises:
            OSError: one of the sides has broken off.
        """
        moved = False
        if not self.waiting and not self.has_ended:
            moved = self._take(pipes)
        if self.waiting:
            moved = self._give(pipes) or moved
        if self.has_ended and not self.waiting and not self.is_done:
            self.is_done = True
            self.sink.shutdown(socket.SHUT_WR)
        return moved

    def _take(self, pipes: Pipes) -> bool:
        pipe = pipes.borrow()
        try:
            count = os.splice(self.source.fileno(), pipe[1], _PIPE_SIZE, flags=_FLAGS)
        except BlockingIOError:
            pipes.give_back(pipe, is_empty=True)
            return False
        except OSError:
            pipes.give_back(pipe, is_empty=True)
            raise
        if count == 0:
            self.has_ended = True
            pipes.give_back(pipe, is_empty=True)
            return False
        self.pipe = pipe
        self.waiting = count
        return True

    def _give(self, pipes: Pipes) -> bool:
        if self.pipe is None:
            return False
        try:
            count = os.splice(self.pipe[0], self.sink.fileno(), self.waiting, flags=_FLAGS)
        except BlockingIOError:
            return False
        self.waiting -= count
        if not self.waiting:
            pipes.give_back(self.pipe, is_empty=True)
            self.pipe = None
        return True

    def drop(self, pipes: Pipes) -> None:
        """Forget what waits."""
        if self.pipe is not None:
            pipes.give_back(self.pipe, is_empty=False)
            self.pipe = None


class Stream:
    """One connection of a client, and the one to the container that belongs to it. ``ended`` is called once it is over.

    ``server`` is a socket that does not wait, yet to be connected to ``target``.

    Raises:
        OSError: the container cannot be reached; the client's connection is the caller's to close then.
    """

    def __init__(
        self,
        loop: Loop,
        pipes: Pipes,
        client: socket.socket,
        server: socket.socket,
        target: tuple[str, int],
        ended: Callable[[Stream], None],
    ) -> None:
        self._loop = loop
        self._pipes = pipes
        self._ended = ended
        self._client = client
        self._server = server
        try:
            self._client.setblocking(False)
            for each in (self._client, self._server):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            problem = self._server.connect_ex(target)
            if problem not in (0, errno.EINPROGRESS):
                raise OSError(problem, os.strerror(problem))
        except OSError:
            self._server.close()
            raise
        self._up = _Direction(self._client, self._server)
        self._down = _Direction(self._server, self._client)
        self._sockets = (self._client, self._server)
        self._actions = (self._heed(_CLIENT), self._heed(_SERVER))
        #: What the loop waits for, at each of them.
        self._wanted = [0, select.EPOLLOUT]
        loop.add(self._client.fileno(), 0, self._client_is_gone, self)
        loop.add(self._server.fileno(), select.EPOLLOUT, self._connected, self)

    def _client_is_gone(self, _events: int) -> None:
        """Before the container was reached."""
        self.close(abruptly=True)

    def _connected(self, _events: int) -> None:
        if self._server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.close(abruptly=True)  # nobody is at the port in the container
            return
        for place in (_CLIENT, _SERVER):
            self._loop.remove(self._sockets[place].fileno())
            self._loop.add(self._sockets[place].fileno(), 0, self._actions[place], self)
            self._wanted[place] = 0
        self._wait()

    def _heed(self, place: int) -> Callable[[int], None]:
        """What is to be done about events at one of the sockets."""
        readable, writable = (self._up, self._down) if place == _CLIENT else (self._down, self._up)

        def heed(events: int) -> None:
            moved = False
            try:
                if events & ~select.EPOLLOUT:
                    moved = readable.move(self._pipes)
                if events & ~select.EPOLLIN:
                    moved = writable.move(self._pipes) or moved
            except OSError:
                self.close(abruptly=True)
                return
            if self._up.is_done and self._down.is_done:
                self.close()
                return
            if not moved and events & select.EPOLLERR:
                self.close(abruptly=True)
                return
            if not moved and events & select.EPOLLHUP:  # which is told for as long as it is waited for anything there
                self._loop.remove(self._sockets[place].fileno())
                self._wanted[place] = _PARKED
            self._wait()

        return heed

    def _wait(self) -> None:
        """Have the loop tell when something can go on."""
        up, down = self._up, self._down
        wanted = (
            (0 if up.waiting or up.has_ended else select.EPOLLIN) | (select.EPOLLOUT if down.waiting else 0),
            (0 if down.waiting or down.has_ended else select.EPOLLIN) | (select.EPOLLOUT if up.waiting else 0),
        )
        for place in (_CLIENT, _SERVER):
            before, now = self._wanted[place], wanted[place]
            if before == now or (before == _PARKED and not now):
                continue
            if before == _PARKED:
                self._loop.add(self._sockets[place].fileno(), now, self._actions[place], self)
            else:
                self._loop.change(self._sockets[place].fileno(), now)
            self._wanted[place] = now

    def fail(self) -> None:
        """Break it off, because something happened that nobody has thought of."""
        self.close(abruptly=True)

    def close(self, *, abruptly: bool = False) -> None:
        """End both connections; ``abruptly`` tells both sides that something may be missing."""
        for each in self._sockets:
            self._loop.remove(each.fileno())
            if abruptly:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPT)
            each.close()
        self._up.drop(self._pipes)
        self._down.drop(self._pipes)
        self._ended(self)


def refuse(client: socket.socket) -> None:
    """Break a connection off, as if nobody had been there."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPT)
    client.close()
