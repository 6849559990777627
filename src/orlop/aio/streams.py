"""A program's standard streams in an event loop."""

from __future__ import annotations

import _socket
import asyncio
from typing import TYPE_CHECKING, Any

from orlop.engine import frames
from orlop.library.streams import Source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from orlop.library import streams
    from orlop.library.streams import Conversation, Output, Readable

_LARGEST = frames.LARGEST + 1


class Stream:
    """The standard streams of a program that runs; see `orlop.library.streams.Stream`.

    ``async for output in stream`` gives what it writes, until it ends.
    """

    def __init__(self, stream: streams.Stream) -> None:
        self._early, self._socket = stream.release()
        self._socket.setblocking(False)
        self.conversation: Conversation = stream.conversation

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.close()

    @property
    def exit_code(self) -> int | None:
        """The program's exit code; None as long as its end was not read."""
        return self.conversation.exit_code

    def close(self) -> None:
        """Let go of the streams. The program goes on; a command of `exec` then has nobody who reads it."""
        self._socket.close()

    async def write(self, data: bytes) -> None:
        """Give the program input; returns when it is on its way.

        Raises:
            BrokenPipeError: nobody takes it any more.
        """
        for place in range(0, len(data), frames.LARGEST):
            await self._send(frames.STDIN + data[place : place + frames.LARGEST])

    async def end_input(self) -> None:
        """Tell the program that there is no more input.

        Raises:
            BrokenPipeError: it has ended.
        """
        await self._send(frames.STDIN_END)

    async def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal, in characters.

        Raises:
            BrokenPipeError: it has ended.
        """
        await self._send(frames.SIZE + frames.size(rows, columns))

    async def __aiter__(self) -> AsyncIterator[Output]:
        while (output := await self.read()) is not None:
            yield output

    async def read(self) -> Output | None:
        """What the program writes next; None when it has ended.

        Raises:
            OrlopError: its monitor was killed.
        """
        while self.conversation.exit_code is None:
            output = self.conversation.hear(await self._receive())
            if output is not None:
                return output
        return None

    async def wait(self) -> int:
        """The exit code, once the program has ended; its output is kept for `communicate`.

        Raises:
            OrlopError: its monitor was killed.
        """
        await self.communicate()
        return self.conversation.exit_code or 0

    async def communicate(self, stdin: bytes | str | Readable | None = None) -> tuple[bytes, bytes]:
        """Give the program all its input, read all its output, and wait for its end.

        Raises:
            OrlopError: its monitor was killed.
        """
        feeding = asyncio.ensure_future(self._feed(Source(stdin))) if stdin is not None else None
        try:
            while (output := await self.read()) is not None:
                self.conversation.keep(output)
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
        return self.conversation.kept()

    async def _feed(self, source: Source) -> None:
        while not source.ended:
            descriptor = source.descriptor
            if descriptor >= 0:
                await ready_to(descriptor)
            frame = source.frame()
            try:
                await self._send(frame)
            except OSError:
                return  # it has ended; its last words are still to be read
            source.sent(frame)

    async def _receive(self) -> tuple[bytes, bytes] | None:
        if self._early is not None:
            frame, self._early = self._early, None
            return frame
        while True:
            try:
                data = self._socket.recv(_LARGEST)
            except BlockingIOError:
                await ready_to(self._socket.fileno())
                continue
            except ConnectionResetError:
                continue  # told once, before the last words of who has left unread what we sent
            return (data[:1], data[1:]) if data else None

    async def _send(self, frame: bytes) -> None:
        while True:
            try:
                self._socket.send(frame, _socket.MSG_NOSIGNAL)
            except BlockingIOError:
                await ready_to(self._socket.fileno(), writing=True)
                continue
            return


async def ready_to(descriptor: int, *, writing: bool = False) -> None:
    """Wait until a descriptor can be read from, or written to."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    add: Callable[..., Any] = loop.add_writer if writing else loop.add_reader
    remove: Callable[[int], bool] = loop.remove_writer if writing else loop.remove_reader

    def ready() -> None:
        if not future.done():
            future.set_result(None)

    try:
        add(descriptor, ready)
    except PermissionError:
        return  # a regular file, which never waits (epoll_ctl(2))
    try:
        await future
    finally:
        remove(descriptor)
