"""Functions that may block, awaited."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from orlop.library import errand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")

_MOST = 32


class Threads:
    """The threads of one engine. They are made when they are needed, and end with it."""

    __slots__ = ("_pool",)

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_MOST, "orlop")

    async def call(
        self,
        function: Callable[[], T],
        undo: Callable[[T], object] | None = None,
        stop: Callable[[], object] | None = None,
    ) -> T:
        """What the function returns.

        If this is cancelled, so is what a process of its own is doing for the function; ``stop`` is to make it return,
        and what it brought about all the same, ``undo`` is told of.
        """
        helpers: list[errand.Helper] = []
        is_cancelled = False

        def observe(helper: errand.Helper) -> None:
            helpers.append(helper)
            if is_cancelled:
                helper.stop()

        def act() -> T:
            with errand.observed(observe):
                return function()

        future = asyncio.get_running_loop().run_in_executor(self._pool, act)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            is_cancelled = True
            if stop is not None:
                stop()
            for helper in helpers:
                helper.stop()
            # Nobody is to see a thread of ours at work after the cancellation.
            await asyncio.wait([future])
            if future.exception() is None and undo is not None:
                await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._pool, undo, future.result()))
            raise

    async def iterate(self, make: Callable[[Callable[[], bool]], Iterator[T]]) -> AsyncIterator[T]:
        """What an iterator gives that blocks; ``make`` is given a function that says whether it is to end."""
        over = threading.Event()
        iterator = make(over.is_set)
        end = object()
        try:
            while (value := await self.call(lambda: next(iterator, end), stop=over.set)) is not end:
                yield value  # type: ignore[misc]
        finally:
            iterator.close()  # type: ignore[attr-defined]

    def close(self) -> None:
        """Let the threads end when they have nothing to do any more."""
        self._pool.shutdown(wait=False)


class Threaded(Protocol):
    """Something with a synchronous object behind it."""

    @property
    def sync(self) -> Any:
        """The object."""

    @property
    def threads(self) -> Threads:
        """Where its methods run."""


def awaited(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Threaded, P], Awaitable[T]]:
    """A method of the synchronous object as one that is awaited."""

    async def call(self: Threaded, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.threads.call(lambda: method(self.sync, *args, **kwargs))

    functools.update_wrapper(call, method)
    return call
