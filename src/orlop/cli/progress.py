"""How commands show what a pull, a push or a load is doing: ways to show an `orlop.images.progress.Progress`.

::

    with progress.choose(sys.stdout, "auto") as shown:
        pull(reference, progress=shown)
"""

from __future__ import annotations

import os
import threading

from orlop.errors import InvalidArgument
from orlop.images.progress import COUNTED, Progress
from orlop.images.progress_messages import Messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

#: What `choose` takes: a terminal's bars or else lines; lines; Docker's JSON; nothing.
HOW = ("auto", "plain", "json", "quiet")


class Shown(Progress):
    """Progress that is shown until it is closed, which leaving the ``with`` does. This class shows nothing."""

    __slots__ = ()

    def close(self) -> None:
        """Show what is still to be shown; nothing follows."""

    def __enter__(self) -> Shown:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Nothing(Shown):
    """For ``--quiet``."""

    __slots__ = ()


class Lines(Shown):
    """For a file or a pipe: each change of what happens to a layer once, and no numbers, as Docker does."""

    __slots__ = ("_last", "_lock", "_stream")

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._last: dict[str, str] = {}

    def update(self, identifier: str, action: str, current: int | None = None, total: int | None = None) -> None:
        """Write a line if this is news."""
        if action in COUNTED and (current or total):
            return
        with self._lock:
            if self._last.get(identifier) != action:
                self._last[identifier] = action
                self._stream.write(f"{identifier}: {action}\n")
                self._stream.flush()

    def say(self, text: str) -> None:
        """Write the line."""
        with self._lock:
            self._stream.write(f"{text}\n")
            self._stream.flush()


class JsonLines(Messages, Shown):
    """For programs: the messages of Docker's API, one object a line."""

    __slots__ = ()

    def __init__(self, stream: TextIO) -> None:
        def write(text: str) -> None:
            stream.write(text)
            stream.flush()

        super().__init__(write)


def choose(stream: TextIO, how: str = "auto") -> Shown:
    """What suits the stream, or what the user chose: one of `HOW`.

    Raises:
        InvalidArgument: there is no such way.
    """
    if how not in HOW:
        raise InvalidArgument(f"invalid progress '{how}': must be one of {', '.join(HOW)}")
    if how == "quiet":
        return Nothing()
    if how == "json":
        return JsonLines(stream)
    if how == "auto" and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from orlop.cli.progress_bars import Bars

        return Bars(stream)
    return Lines(stream)
