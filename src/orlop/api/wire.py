"""One client's connection as bytes: what came, what is to go, and when it is gone.

A client that does not read has nothing written for it beyond the transport's buffer, and one whose bytes nobody wants
is not read from.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from orlop.api.leaving import Leaving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.api.hangups import HangUps

_MOST_UNREAD = 1 << 18
#: How a client over TCP that went without a word is found: seconds without one, seconds between questions, and how many.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


class Wire(asyncio.Protocol):
    """The connection of one client.

    ``begin`` is called when it is there. ``gone`` is set when the client has closed its side, ``hung_up`` when it does not
    read any more either, as far as that can be known (`HangUps.watch`). ``is_local`` says that it is on this machine, by a
    Unix socket.
    """

    __slots__ = (
        "_begin",
        "_can_write",
        "_chunks",
        "_descriptor",
        "_ended",
        "_hang_ups",
        "_lost",
        "_news",
        "_size",
        "gone",
        "hung_up",
        "is_local",
        "transport",
    )

    def __init__(self, begin: Callable[[Wire], object], hang_ups: HangUps) -> None:
        self._begin = begin
        self._hang_ups = hang_ups
        self._descriptor = -1
        self._chunks: list[bytes] = []
        self._size = 0
        self._ended = False
        self._lost = False
        self._news = asyncio.Event()
        self._can_write = asyncio.Event()
        self._can_write.set()
        self.is_local = False
        self.gone = Leaving()
        self.hung_up = Leaving()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's: it is there."""
        self.transport = cast("asyncio.Transport", transport)
        connection = transport.get_extra_info("socket")
        self._descriptor = connection.fileno()
        self.is_local = connection.family == socket.AF_UNIX
        if not self._is_encrypted:  # asyncio closes those before it tells us
            self._hang_ups.watch(self._descriptor, self.hung_up.set)
        if not self.is_local:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                connection.setsockopt(socket.IPPROTO_TCP, option, value)
        self._begin(self)

    def data_received(self, data: bytes) -> None:
        """asyncio's: the client has sent something."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size > _MOST_UNREAD:
            self.transport.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        """asyncio's: the client sends no more, but may still read."""
        self._ended = True
        self._news.set()
        self.gone.set()
        return not self._is_encrypted  # TLS has no halves

    def connection_lost(self, _error: Exception | None) -> None:
        """asyncio's: it is over."""
        self._hang_ups.forget(self._descriptor)
        self._ended = self._lost = True
        self._news.set()
        self._can_write.set()
        self.gone.set()
        self.hung_up.set()

    def pause_writing(self) -> None:
        """asyncio's: the client does not read as fast as we write."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """asyncio's: it has read."""
        self._can_write.set()

    @property
    def _is_encrypted(self) -> bool:
        return self.transport.get_extra_info("sslcontext") is not None

    async def read(self) -> bytes:
        """What came since the last time, waiting for it if need be; nothing when the client sends no more."""
        while not self._chunks:
            if self._ended:
                return b""
            self._news.clear()
            await self._news.wait()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if not self._lost:
            self.transport.resume_reading()
        return data

    def unread(self, data: bytes) -> None:
        """Have these bytes come first in what is read next."""
        if data:
            self._chunks.insert(0, data)
            self._size += len(data)
            self._news.set()

    async def write(self, data: bytes) -> None:
        """Send, waiting until there is room.

        Raises:
            ConnectionError: the client is gone.
        """
        await self._can_write.wait()
        if self._lost or self.transport.is_closing():
            raise ConnectionResetError("the client has closed the connection")
        self.transport.write(data)
        await self._can_write.wait()

    def end_writing(self) -> None:
        """Send no more."""
        if not self._lost and self.transport.can_write_eof():
            self.transport.write_eof()

    def close(self) -> None:
        """End the connection when all is sent."""
        if not self._lost:
            self.transport.close()
