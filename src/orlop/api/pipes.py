"""Bytes on their way between a client and a child that makes or takes them, through a pipe."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing

from orlop.api.children import Child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
    from typing import Any

    from orlop.api.children import Tell

    Work = Callable[[int, Tell], Any]

_CHUNK = 1 << 18
_F_SETPIPE_SZ = 1031
_PIPE = 1 << 20


async def output(work: Work, keep: Sequence[int] = ()) -> AsyncGenerator[bytes, None]:
    """What a child writes to the descriptor that ``work`` is given; ``keep`` are others that it needs.

    Raises:
        OrlopError: as the work says; what it wrote before that came first.
    """
    reader, writer = _pipe()
    try:
        child = asyncio.ensure_future(Child(lambda tell: work(writer, tell), (writer, *keep)).result())
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    try:
        while data := await _read(reader):
            yield data
        await child
    finally:
        os.close(reader)  # before there is any waiting that could be broken off
        child.cancel()
        await asyncio.gather(child, return_exceptions=True)


async def begun(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same, once the first bytes are there: what fails before that can still be an answer of its own."""
    first = await anext(chunks, None)

    async def all_of_it() -> AsyncGenerator[bytes, None]:
        async with aclosing(chunks):
            if first is not None:
                yield first
            async for each in chunks:
                yield each

    return all_of_it()


async def input(  # noqa: A001 - the other one is output
    body: AsyncIterator[bytes], work: Work, told: Callable[..., object] | None = None
) -> Any:
    """Have a child read a request's body from the descriptor that ``work`` is given; returns what that returns.

    Raises:
        OrlopError: as the work says.
    """
    reader, writer = _pipe()
    try:
        child = asyncio.ensure_future(Child(lambda tell: work(reader, tell), (reader,), told).result())
    except BaseException:
        os.close(writer)
        raise
    finally:
        os.close(reader)
    feeding = asyncio.ensure_future(_feed(body, writer))
    try:
        await asyncio.wait((child, feeding), return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()
        return await child
    finally:
        for each in (feeding, child):
            each.cancel()
        await asyncio.gather(feeding, child, return_exceptions=True)


async def through(body: AsyncIterator[bytes], work: Callable[[int, int], None]) -> AsyncGenerator[bytes, None]:
    """What a child writes to the first descriptor that ``work`` is given, while it can read a request's body from the second.

    Raises:
        OrlopError: as the work says; what it wrote before that came first.
    """
    reader, writer = _pipe()

    def run(output_end: int, _tell: Tell) -> None:
        work(output_end, reader)

    feeding = asyncio.ensure_future(_feed(body, writer))
    try:
        async with aclosing(output(run, (reader,))) as chunks:
            data = await anext(chunks, None)
            while data is not None:
                yield data
                data = await anext(chunks, None)
    finally:
        os.close(reader)
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


def _pipe() -> tuple[int, int]:
    import fcntl

    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        fcntl.fcntl(writer, _F_SETPIPE_SZ, _PIPE)
    except OSError:
        pass  # an ordinary user has too many: a small one does it too
    return reader, writer


async def _feed(body: AsyncIterator[bytes], writer: int) -> None:
    loop = asyncio.get_running_loop()
    os.set_blocking(writer, False)
    try:
        async for chunk in body:
            left = memoryview(chunk)
            while left:
                try:
                    left = left[os.write(writer, left) :]
                except BlockingIOError:
                    writable = loop.create_future()
                    loop.add_writer(writer, _set, writable)
                    try:
                        await writable
                    finally:
                        loop.remove_writer(writer)
                except BrokenPipeError:
                    return  # the child wants no more: what it says counts
    finally:
        os.close(writer)


async def _read(reader: int) -> bytes:
    loop = asyncio.get_running_loop()
    os.set_blocking(reader, False)
    while True:
        try:
            return os.read(reader, _CHUNK)
        except BlockingIOError:
            readable = loop.create_future()
            loop.add_reader(reader, _set, readable)
            try:
                await readable
            finally:
                loop.remove_reader(reader)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
