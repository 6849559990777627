"""A connection that carries WebSocket messages (RFC 6455), used as if it carried the bytes in them.

What a message is, and how long, means nothing here: what a client sends in binary or text messages is its input one
after the other, and output goes in binary messages. A client that closes wants no more; one that only stops to send
(FIN without a Close) has ended its input.
"""

from __future__ import annotations

import asyncio
from typing import cast

from orlop import third_party
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    import wsproto.connection

    from orlop.api.exchange import Request
    from orlop.api.wire import Wire

_VERSION = "13"
#: Seconds that a client has to answer a Close.
_PARTING = 5.0
#: The Close code of an end that nothing is wrong with (RFC 6455, 7.4.1).
_NORMAL = 1000
_PURPOSE = "WebSocket attach"


class UpgradeNeeded(InvalidArgument):
    """The request is none that opens a WebSocket."""

    http_status = 426


def accepted(request: Request) -> dict[str, str]:
    """The headers with which a request to open a WebSocket is granted.

    Raises:
        UpgradeNeeded: it is no such request.
    """
    headers = request.headers
    key = headers.get("sec-websocket-key", "")
    is_get = request.method == "GET"  # HEAD only looks, whatever is asked for
    if not is_get or not request.upgrades or headers.get("upgrade", "").lower() != "websocket" or not key:
        raise UpgradeNeeded("this endpoint speaks WebSocket: the request must have the headers of its handshake")
    if headers.get("sec-websocket-version") != _VERSION:
        raise UpgradeNeeded(f"the version of WebSocket must be {_VERSION} (Sec-WebSocket-Version)")
    utilities = third_party.load("wsproto.utilities", _PURPOSE)
    return {
        "Upgrade": "websocket",
        "Sec-WebSocket-Accept": utilities.generate_accept_token(key.encode("latin-1")).decode(),
    }


class WebSocket:
    """A client's WebSocket on a connection that was upgraded, with what of `Wire` an attached client needs."""

    __slots__ = ("_broken", "_closed", "_connection", "_events", "_wire", "hung_up")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._events: ModuleType = third_party.load("wsproto.events", _PURPOSE)
        module = third_party.load("wsproto.connection", _PURPOSE)
        self._connection = cast("wsproto.connection.Connection", module.Connection(module.ConnectionType.SERVER))
        self._closed = False
        self._broken = 0
        #: Set when the client wants no more: it has closed, or gone.
        self.hung_up = wire.hung_up

    async def read(self) -> bytes:
        """What the client typed since the last time, waiting for it if need be; nothing when it sends no more.

        Raises:
            ConnectionError: it is gone.
        """
        while not self._closed:
            data = await self._wire.read()
            if not data:
                return b""
            if typed := await self._take(data):
                return typed
        return b""

    async def _take(self, data: bytes) -> bytes:
        """The input in what came; questions are answered."""
        events = self._events
        self._connection.receive_data(data)
        typed, answers = bytearray(), b""
        for event in self._connection.events():
            if isinstance(event, events.TextMessage):
                typed += event.data.encode()
            elif isinstance(event, events.BytesMessage):
                typed += event.data
            elif isinstance(event, events.Ping):
                answers += self._connection.send(event.response())
            elif isinstance(event, events.CloseConnection):
                if self._is_open:
                    self._broken = int(event.code)  # what came is no WebSocket
                self._closed = True
                self.hung_up.set()
                break
        if answers:
            await self._wire.write(answers)
        return bytes(typed)

    async def write(self, data: bytes) -> None:
        """Send output.

        Raises:
            ConnectionError: the client is gone, or has closed.
        """
        if self._closed:
            raise ConnectionResetError("the client has closed the WebSocket")
        await self._wire.write(self._connection.send(self._events.BytesMessage(data=data)))

    @property
    def _is_open(self) -> bool:
        return bool(self._connection.state.name == "OPEN")

    async def close(self) -> None:
        """Say that nothing more comes, and why, and wait for the client's word of that."""
        has_to_wait = self._is_open and not self._broken
        event = self._events.CloseConnection(code=self._broken or _NORMAL)
        self._closed = True
        try:
            await self._wire.write(self._connection.send(event))
            async with asyncio.timeout(_PARTING):
                while has_to_wait and (data := await self._wire.read()):
                    self._connection.receive_data(data)
                    has_to_wait = not any(isinstance(each, type(event)) for each in self._connection.events())
        except (ConnectionError, TimeoutError):
            return
