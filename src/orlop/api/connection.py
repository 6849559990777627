"""The requests of one connection, one after the other: HTTP on one side, `exchange` on the other.

The wire format of HTTP/1.1 is h11's; what is bounded here is time and size: of heads, of waiting for a request, and by
the wire of what is not read yet.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import cast

from orlop.api.exchange import Request, Stream, Takeover, json
from orlop.errors import InvalidArgument, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
    from types import ModuleType

    import h11

    from orlop.api.exchange import Answer, Reply
    from orlop.api.peer import Peer
    from orlop.api.wire import Wire

    Serve = Callable[[Request], Awaitable[Answer]]

#: Bytes that a request's head may have.
_LARGEST_HEAD = 64 << 10
#: Seconds that a connection may be without a request, and that the head of one may take.
_IDLE = 300.0
_SLOW = 30.0
#: Bytes of a body that nobody wants which are read away: a client that is still sending would not see the answer.
_MOST_LEFT = 32 << 20
_REASONS = {each.value: each.phrase.encode() for each in HTTPStatus}


class Connection:
    """One client, who may ask for several things."""

    __slots__ = ("_h11", "_headers", "_peer", "_protocol", "_serve", "_wire")

    def __init__(self, wire: Wire, peer: Peer, serve: Serve, headers: Mapping[str, str], h11: ModuleType) -> None:
        self._wire = wire
        self._peer = peer
        self._serve = serve
        self._headers = headers
        self._h11 = h11
        self._protocol = self._new()

    def _new(self) -> h11.Connection:
        made = self._h11.Connection(self._h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)
        return cast("h11.Connection", made)

    async def serve(self) -> None:
        """Answer until the client has gone, or the connection became something else and ended."""
        try:
            while await self._serve_one():
                self._protocol.start_next_cycle()
        except (OSError, OrlopError):
            return  # it has gone, or will never come to the point, or what it is being told cannot be gone on with
        except self._h11.RemoteProtocolError as error:
            await self._refuse(error)
        finally:
            self._wire.close()

    async def _serve_one(self) -> bool:
        """Answer one request; whether another one may come."""
        head = await self._head()
        if head is None:
            return False
        request = self._request(head)
        answer = await self._answer(request)
        if isinstance(answer, Takeover):
            try:
                await self._take_over(request, answer)
            finally:
                answer.release()
            return False
        if isinstance(answer, Stream):
            await self._stream(answer, is_head=request.method == "HEAD")
        else:
            await self._reply(answer, is_head=request.method == "HEAD")
        return await self._is_reusable()

    async def _head(self) -> h11.Request | None:
        """The next request's head; None if there is none."""
        loop = asyncio.get_running_loop()
        deadline, has_begun = loop.time() + _IDLE, False
        while True:
            event = self._protocol.next_event()
            if isinstance(event, self._h11.Request):
                return cast("h11.Request", event)
            if event is not self._h11.NEED_DATA:
                return None
            async with asyncio.timeout_at(deadline):
                data = await self._wire.read()
            self._protocol.receive_data(data)
            if data and not has_begun:
                deadline, has_begun = loop.time() + _SLOW, True

    def _request(self, head: h11.Request) -> Request:
        headers: dict[str, str] = {}
        for name, value in head.headers:
            key, text = name.decode("ascii"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        method, target = head.method.decode("ascii"), head.target.decode("latin-1")
        return Request(method, target, headers, self._body(), self._peer)

    async def _body(self) -> AsyncIterator[bytes]:
        while True:
            if self._protocol.they_are_waiting_for_100_continue:
                go_on = self._h11.InformationalResponse(status_code=100, headers=())
                await self._wire.write(self._protocol.send(go_on) or b"")
            try:
                event = self._protocol.next_event()
            except self._h11.RemoteProtocolError as error:
                raise InvalidArgument(f"the request is not HTTP: {error}") from None
            if isinstance(event, self._h11.Data):
                yield bytes(event.data)
            elif event is self._h11.NEED_DATA:
                self._protocol.receive_data(await self._wire.read())
            else:
                return

    async def _answer(self, request: Request) -> Answer:
        """What is to be said to a request; if the client goes meanwhile, nobody wants to know any more."""
        with (self._wire.hung_up if self._wire.is_local else self._wire.gone).ends_work():
            return await self._serve(request)

    async def _reply(self, reply: Reply, *, is_head: bool) -> None:
        headers = [*self._headers.items(), *reply.headers.items()]
        if reply.content_type:
            headers.append(("Content-Type", reply.content_type))
        if reply.status not in (204, 304):
            headers.append(("Content-Length", str(len(reply.body))))
        start = self._h11.Response(status_code=reply.status, headers=headers, reason=_REASONS[reply.status])
        data = self._protocol.send(start) or b""
        if reply.body and not is_head and reply.status not in (204, 304):
            data += self._protocol.send(self._h11.Data(data=reply.body)) or b""
        data += self._protocol.send(self._h11.EndOfMessage()) or b""
        await self._wire.write(data)

    async def _stream(self, stream: Stream, *, is_head: bool) -> None:
        headers = [*self._headers.items(), *stream.headers.items(), ("Content-Type", stream.content_type)]
        start = self._h11.Response(status_code=stream.status, headers=headers, reason=b"OK")
        chunks = stream.chunks
        first = asyncio.ensure_future(anext(chunks, None))
        try:
            with self._wire.gone.ends_work():
                await asyncio.sleep(0)  # only what has begun clears up after itself when it is closed
                await self._wire.write(self._protocol.send(start) or b"")
                data = None if is_head else await first
                while data is not None:
                    await self._wire.write(self._protocol.send(self._h11.Data(data=data)) or b"")
                    await asyncio.sleep(0)  # the others' turn: neither of the two may have to wait for anything
                    data = await anext(chunks, None)
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await cast("AsyncGenerator[bytes, None]", chunks).aclose()
        await self._wire.write(self._protocol.send(self._h11.EndOfMessage()) or b"")

    async def _take_over(self, request: Request, takeover: Takeover) -> None:
        """Hand the connection over. Whatever the client has sent after the request is the first of its input."""
        async for _ in request.body:
            pass
        self._protocol.next_event()
        early, _ = self._protocol.trailing_data
        headers = {**self._headers, "Content-Type": takeover.content_type}
        if takeover.switch is not None:
            first = "HTTP/1.1 101 Switching Protocols"
            headers = {**self._headers, "Connection": "Upgrade", **takeover.switch}
        elif request.upgrades:
            first = "HTTP/1.1 101 UPGRADED"
            headers.update({"Connection": "Upgrade", "Upgrade": "tcp"})
        else:
            first = "HTTP/1.1 200 OK"
        lines = [first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        await self._wire.write("\r\n".join(lines).encode("latin-1"))
        self._wire.unread(early)
        await takeover.serve(self._wire)

    async def _is_reusable(self) -> bool:
        """Whether the connection can have another request; the rest of a body that nobody wanted is read away."""
        left = 0
        while self._protocol.their_state is self._h11.SEND_BODY:
            event = self._protocol.next_event()
            if event is self._h11.NEED_DATA:
                if self._protocol.they_are_waiting_for_100_continue:
                    return False
                async with asyncio.timeout(_SLOW):
                    data = await self._wire.read()
                left += len(data)
                if left > _MOST_LEFT or not data:
                    return False
                self._protocol.receive_data(data)
        return bool(self._protocol.our_state is self._h11.DONE and self._protocol.their_state is self._h11.DONE)

    async def _refuse(self, error: Exception) -> None:
        """Say what is wrong with what the client sent, if it can still be said."""
        if self._protocol.our_state not in (self._h11.IDLE, self._h11.SEND_RESPONSE):
            return
        status = getattr(error, "error_status_hint", 400)
        try:
            self._headers = {**self._headers, "Connection": "close"}
            await self._reply(json({"message": f"the request is not HTTP: {error}"}, status), is_head=False)
        except (ConnectionError, self._h11.LocalProtocolError):
            return
