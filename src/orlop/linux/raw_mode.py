"""A terminal in raw mode for a while (termios(3), cfmakeraw)."""

from __future__ import annotations

import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any


class RawMode:
    """``with RawMode(descriptor):`` every key goes through as it is; the old mode returns at the end. -1 does nothing."""

    __slots__ = ("_before", "_descriptor")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before: list[Any] = []

    def __enter__(self) -> RawMode:
        if self._descriptor >= 0:
            self._before = termios.tcgetattr(self._descriptor)
            mode: list[Any] = termios.tcgetattr(self._descriptor)
            mode[0] &= ~(
                termios.IGNBRK
                | termios.BRKINT
                | termios.PARMRK
                | termios.ISTRIP
                | termios.INLCR
                | termios.IGNCR
                | termios.ICRNL
                | termios.IXON
            )
            mode[1] &= ~termios.OPOST
            mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
            mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
            mode[6][termios.VMIN] = 1
            mode[6][termios.VTIME] = 0
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, mode)
        return self

    def restore(self) -> None:
        """Bring the old mode back now; nothing if that was done, or if the terminal is gone."""
        before, self._before = self._before, []
        if before:
            try:
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)
            except termios.error:
                return  # there is no terminal any more to put right

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()
