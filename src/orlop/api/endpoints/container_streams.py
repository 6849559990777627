"""The streams of containers: ``attach``, ``logs`` and ``stats``."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from orlop import json_text
from orlop.api import attachments, websocket
from orlop.api.attachments import Wanted, multiplexed, until_readable
from orlop.api.endpoints.containers import find
from orlop.api.exchange import Stream, Takeover, json
from orlop.api.moments import moment
from orlop.api.shapes import filled
from orlop.api.websocket import WebSocket
from orlop.engine import detach_keys, events, log_reader, statistics
from orlop.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
    from typing import Any

    from orlop.api.attachments import Attachments, Channel
    from orlop.api.exchange import Reply, Request
    from orlop.api.routes import Endpoint
    from orlop.api.watching import Watching
    from orlop.api.wire import Wire
    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.engine.log_formats import Entry

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
#: Since this version a stream that has frames says so.
_TELLS_FRAMES = (1, 42)
_WEBSOCKETS_CHOOSE = (1, 42)
#: Seconds between two samples of what a container uses.
_SAMPLE = 1.0
_CHUNK = 1 << 16


class Streams:
    """The endpoints for what containers say and use."""

    __slots__ = ("_attachments", "_location", "_watching")

    def __init__(self, location: Location, waiting: Attachments, watching: Watching) -> None:
        self._location = location
        self._attachments = waiting
        self._watching = watching

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Where these endpoints are."""
        yield "POST", "/containers/{id}/attach", self.attach
        yield "GET", "/containers/{id}/attach/ws", self.attach_by_websocket
        yield "GET", "/containers/{id}/logs", self.logs
        yield "GET", "/containers/{id}/stats", self.stats

    async def attach(self, request: Request) -> Takeover:
        """Be one's terminal, from now on or from its start on; with ``logs`` what it has said before comes first."""
        target = find(self._location, request.arguments["id"])
        is_terminal = bool(target.record["Config"]["Tty"])
        wanted = _wanted(request, target, has_frames=not is_terminal)
        serve, release = self._attached(request, target, wanted)
        return Takeover(serve, content_type(request, is_terminal=is_terminal), release)

    async def attach_by_websocket(self, request: Request) -> Takeover:
        """The same by WebSocket, where nothing tells the two outputs apart."""
        target = find(self._location, request.arguments["id"])
        switch = websocket.accepted(request)
        wanted = _wanted(request, target, has_frames=False)
        serve, release = self._attached(request, target, wanted)

        async def serve_messages(wire: Wire) -> None:
            messages = WebSocket(wire)
            try:
                await serve(messages)
            finally:
                await messages.close()

        return Takeover(serve_messages, "", release, switch)

    def _attached(
        self, request: Request, target: Container, wanted: Wanted
    ) -> tuple[Callable[[Channel], Awaitable[None]], Callable[[], None]]:
        """What serves a client that attaches, and what ends its wish."""
        with_logs = request.flag("logs")
        attachment = self._attachments.begin(target, wanted) if request.flag("stream") else None

        async def serve(wire: Channel) -> None:
            if with_logs:
                async with aclosing(_log(log_reader.Log(target), wanted, timestamps=False)) as lines:
                    async for data in lines:
                        await wire.write(data)
            if attachment is None:
                return
            session = await attachment.session(wire)
            if session is not None:
                await attachments.connect(wire, session, wanted, lambda: events.of_container(target, "detach"))

        def release() -> None:
            if attachment is not None:
                attachment.close()

        return serve, release

    async def logs(self, request: Request) -> Stream:
        """What one has said."""
        target = find(self._location, request.arguments["id"])
        is_terminal = bool(target.record["Config"]["Tty"])
        wanted = Wanted(
            stdin=False,
            stdout=request.flag("stdout"),
            stderr=request.flag("stderr"),
            has_frames=not is_terminal,
            keys=b"",
        )
        if not wanted.outputs:
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        log = log_reader.Log(
            target,
            tail=_tail(request.text("tail")),
            follow=request.flag("follow"),
            since=moment(request.text("since")),
            until=moment(request.text("until")),
            watch=self._watching.watch,
        )
        chunks = _log(log, wanted, timestamps=request.flag("timestamps"), details=request.flag("details"))
        return Stream(chunks, MULTIPLEXED if not is_terminal and request.version >= _TELLS_FRAMES else RAW)

    async def stats(self, request: Request) -> Reply | Stream:
        """What one uses, each second, or once."""
        target = find(self._location, request.arguments["id"])
        if not request.flag("stream", default=True):
            first = statistics.sample(target)
            if request.flag("one-shot") or not first["pids_stats"]:
                return json(filled(first))
            await asyncio.sleep(_SAMPLE)
            return json(filled(statistics.sample(target, first)))
        return Stream(_samples(target))


def _wanted(request: Request, target: Container, *, has_frames: bool) -> Wanted:
    """Which streams a client wants; before version 1.42 one by WebSocket could not choose."""
    config = target.record["Config"]
    has_choice = request.version >= _WEBSOCKETS_CHOOSE or not request.path.endswith("/ws")
    keys = detach_keys.read(request.text("detachKeys") or detach_keys.DEFAULT)
    return Wanted(
        stdin=(request.flag("stdin") or not has_choice) and bool(config["OpenStdin"]) and request.flag("stream"),
        stdout=request.flag("stdout") or not has_choice,
        stderr=request.flag("stderr") or not has_choice,
        has_frames=has_frames,
        keys=keys if config["Tty"] else b"",
    )


def content_type(request: Request, *, is_terminal: bool) -> str:
    """What a connection that was taken over is said to carry."""
    tells = request.upgrades and request.version >= _TELLS_FRAMES and not is_terminal
    return MULTIPLEXED if tells else RAW


def _tail(text: str) -> int | None:
    """How many lines; None for all. What is no number means all, as with Docker."""
    try:
        count = int(text)
    except ValueError:
        return None
    return count if count >= 0 else None


async def _log(
    log: log_reader.Log, wanted: Wanted, *, timestamps: bool, details: bool = False
) -> AsyncGenerator[bytes, None]:
    """A container's log, several lines at a time."""
    streams = {"stdout": 1} if wanted.stdout or not wanted.has_frames else {}
    if wanted.stderr:
        streams["stderr"] = 2
    waiting: list[bytes] = []
    size = 0
    try:
        for entry in log.entries():
            if entry is None:
                if waiting:
                    yield b"".join(waiting)
                    waiting, size = [], 0
                await until_readable(log.descriptor, log.patience)
                log.wait(0)
                continue
            stream = streams.get(entry.stream)
            if stream is None:
                continue
            data = _line(entry, timestamps=timestamps, details=details)
            waiting.append(multiplexed(stream, data) if wanted.has_frames else data)
            size += len(data)
            if size > _CHUNK:
                yield b"".join(waiting)
                waiting, size = [], 0
                await asyncio.sleep(0)
        if waiting:
            yield b"".join(waiting)
    finally:
        log.close()


def _line(entry: Entry, *, timestamps: bool, details: bool) -> bytes:
    text = entry.text
    if details:
        text = ",".join(f"{key}={value}" for key, value in sorted(entry.attributes.items())) + f" {text}"
    if timestamps:
        text = f"{entry.time} {text}"
    return text.encode("utf-8", "surrogateescape")


async def _samples(target: Container) -> AsyncIterator[bytes]:
    before: dict[str, Any] | None = None
    while True:
        try:
            before = statistics.sample(target, before)
        except NotFound:
            return
        yield json_text.dumps(filled(before)).encode() + b"\n"
        await asyncio.sleep(_SAMPLE)
