"""Somebody who notices that rules were removed, while containers are there that need them.

Whoever flushes the rule set, as the usual service of a distribution does each time that it is reloaded, flushes what
keeps containers from the host's loopback addresses too. So it is not left to the next start to put that back.
"""

from __future__ import annotations

from orlop.errors import OrlopError
from orlop.linux.nftables.changes import Changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Clock(Protocol):
        """Something that knows when it last woke up, in seconds."""

        now: float


#: Seconds between two looks, at first and at last, so that a host whose rules change all the time keeps nobody busy: nor
#: do two who put back what the other removes.
_SELDOM = 0.1
_LONGEST = 10.0


class Sentry:
    """Has ``check`` called when the rule set was changed: at once, and less often the longer it goes on being changed.

    It is for an event loop that waits for `descriptor` and calls `look` then, and that calls `tick` now and then while it
    `has_deadlines`.
    """

    __slots__ = ("_changes", "_check", "_checked", "_clock", "_is_due", "_pause")

    def __init__(self, clock: Clock, check: Callable[[], None]) -> None:
        self._clock = clock
        self._check = check
        self._changes = Changes()
        self._checked = 0.0
        self._is_due = False
        self._pause = _SELDOM

    @property
    def descriptor(self) -> int:
        """What poll(2) finds readable."""
        return self._changes.descriptor

    @property
    def has_deadlines(self) -> bool:
        """Whether a look is still to be had."""
        return self._is_due

    def look(self, _events: int = 0) -> None:
        """The descriptor is readable."""
        self._is_due = self._changes.take() or self._is_due
        self.tick()

    def tick(self) -> None:
        """Time has passed."""
        since = self._clock.now - self._checked
        if self._is_due and since >= self._pause:
            self._pause = min(2 * self._pause, _LONGEST) if since < 2 * self._pause else _SELDOM
            self._is_due = False
            self._checked = self._clock.now
            try:
                self._check()
            except (OSError, OrlopError):
                # Whoever starts a container next meets the same, and has somebody to tell it to.
                return

    def close(self) -> None:
        """Notice no more."""
        self._changes.close()
