"""The resolver's event loop: descriptors and what to do when one is ready, by epoll(7).

Plainer than asyncio, whose import alone takes longer than the first answer may.
"""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Owner(Protocol):
        """Whose descriptor it is."""

        def fail(self) -> None:
            """Bear it that something could not be done that nobody has thought of."""

    class Timed(Protocol):
        """Something in which things can take too long."""

        @property
        def has_deadlines(self) -> bool:
            """Whether anything in it has to be looked at while time passes."""

        def tick(self) -> None:
            """Look."""


READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT

#: Seconds between two looks at what may have taken too long.
_TICK = 0.1
_MOST = 256  # events at once


class Loop:
    """One process's descriptors.

    What is ``timed`` is looked at about ten times a second while it has deadlines. ``now`` is when the loop last woke up, by
    the monotonic clock, in seconds.
    """

    __slots__ = ("_actions", "_epoll", "now", "rest", "timed")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._actions: dict[int, tuple[Callable[[int], None], Owner | None]] = {}
        self.timed: list[Timed] = []
        #: Seconds until the loop is over if nothing happens; None is never.
        self.rest: float | None = None
        self.now = time.monotonic()

    def add(self, descriptor: int, events: int, action: Callable[[int], None], owner: Owner | None = None) -> None:
        """Have ``action`` called with the events of a descriptor whenever there are any.

        If that fails, whatever the error is, it is the ``owner`` who has to bear it, and nobody else.
        """
        self._epoll.register(descriptor, events)
        self._actions[descriptor] = (action, owner)

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events."""
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Wait no more; before the descriptor is closed."""
        if self._actions.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def run(self) -> None:
        """Go on until nothing happens for ``rest`` seconds."""
        next_tick = 0.0
        while True:
            timed = [each for each in self.timed if each.has_deadlines]
            happened = self._epoll.poll(max(0.0, next_tick - self.now) if timed else self.rest, _MOST)
            self.now = time.monotonic()
            for descriptor, events in happened:
                if descriptor in self._actions:  # else an earlier one of this round has closed it
                    self._do(descriptor, events)
            if timed:
                if self.now >= next_tick:
                    next_tick = self.now + _TICK
                    for each in timed:
                        each.tick()
            elif not happened and self.rest is not None:
                return

    def _do(self, descriptor: int, events: int) -> None:
        action, owner = self._actions[descriptor]
        try:
            action(events)
        except Exception:
            if owner is None:
                raise
            owner.fail()
