"""Which clients have gone altogether, told by the kernel however much of what they sent is unread.

asyncio hears of that only while it reads, or when it writes: not of a client that has half-closed its connection, nor
of one that is not read from because nobody wants its bytes yet. So all connections are in one epoll(7) instance that
asks for nothing, and is told of hang-ups and errors only.
"""

from __future__ import annotations

import asyncio
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class HangUps:
    """Whom to tell of the end of which connection; to be made and used in the event loop."""

    __slots__ = ("_epoll", "_told")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._told: dict[int, Callable[[], object]] = {}
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._dispatch)

    def watch(self, descriptor: int, told: Callable[[], object]) -> None:
        """Have ``told`` called once, when both sides of a connection are closed or it is broken.

        Over TCP a client that has closed its side may still read; that it does not is known when something was sent to it.
        """
        self._told[descriptor] = told
        self._epoll.register(descriptor, 0)  # EPOLLHUP and EPOLLERR are told of always

    def forget(self, descriptor: int) -> None:
        """Have one connection less, before it is closed."""
        if self._told.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        """Watch nothing any more."""
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _dispatch(self) -> None:
        for descriptor, _ in self._epoll.poll(0):
            told = self._told[descriptor]
            self.forget(descriptor)
            told()
