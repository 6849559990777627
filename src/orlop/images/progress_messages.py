"""What a pull, a push or a load is doing, as the messages of Docker's API."""

from __future__ import annotations

import threading
import time

from orlop import json_text
from orlop.images.progress import COUNTED, Progress
from orlop.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BAR = 50
_INTERVAL = 0.1  # seconds


class Messages(Progress):
    """Writes messages, one object a line; bytes at most ten times a second for a layer."""

    __slots__ = ("_last", "_lock", "_write_text")

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write_text = write
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
        self._write_text(json_text.dumps(message) + "\n")


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
