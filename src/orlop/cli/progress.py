"""How commands show what a pull, a push or a load is doing: ways to show an `orlop.images.progress.Progress`.

::

    with progress.choose(sys.stdout, "auto") as shown:
        pull(reference, progress=shown)
"""

from __future__ import annotations

import os
import threading
import time

from orlop import json_text
from orlop.cli.units import human_size
from orlop.errors import InvalidArgument
from orlop.images.progress import COUNTED, Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, TextIO

#: What `choose` takes: a terminal's bars or else lines; lines; Docker's JSON; nothing.
HOW = ("auto", "plain", "json", "quiet")

_BAR = 50
_INTERVAL = 0.1  # seconds


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


class JsonLines(Shown):
    """For programs: the messages of Docker's API, one object a line; bytes at most ten times a second for a layer."""

    __slots__ = ("_last", "_lock", "_stream")

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._last: dict[str, tuple[str, float]] = {}

    def update(self, identifier: str, action: str, current: int | None = None, total: int | None = None) -> None:
        """Write a message if it is a new action, the end of one, or some time after the last."""
        now = time.monotonic()
        message: dict[str, Any] = {"status": action, "progressDetail": {}}
        counted = action in COUNTED and bool(current or total)
        if counted:
            detail = {"current": current or 0}
            if total:
                detail["total"] = total
            message["progressDetail"] = detail
            message["progress"] = bar(current or 0, total or 0, _BAR)
        message["id"] = identifier
        with self._lock:
            last, then = self._last.get(identifier, ("", 0.0))
            if last == action and not (counted and (now - then >= _INTERVAL or current == total)):
                return
            self._last[identifier] = (action, now)
            self._write(message)

    def say(self, text: str) -> None:
        """Write a message that has no layer."""
        with self._lock:
            self._write({"status": text})

    def _write(self, message: dict[str, Any]) -> None:
        self._stream.write(json_text.dumps(message) + "\n")
        self._stream.flush()


def bar(current: int, total: int, width: int) -> str:
    """``[=====>    ]  10.5MB/21MB``, of which the part in brackets is ``width`` wide, or left out if that is 0.

    Without a total, or if that is already passed, there is only the number.
    """
    if not 0 < total >= current:
        return f"{human_size(current):>8}"
    box = ""
    if width:
        done = width * current // total
        arrow = "=" * done + ">" * (done < width)
        box = f"[{arrow:<{width}}] "
    return f"{box}{human_size(current):>8}/{human_size(total)}"


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
