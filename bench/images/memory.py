"""The most memory that a command and all its processes hold at one time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bench import processes

if TYPE_CHECKING:
    from collections.abc import Callable

_INTERVAL = 0.02  # seconds


def peak(action: Callable[[], object]) -> int:
    """Run ``action``; the largest sum of PSS over all processes that it started, in bytes, looked at 50 times a second."""
    before = set(processes.descendants())
    most = 0
    over = threading.Event()

    def look() -> None:
        nonlocal most
        while not over.wait(_INTERVAL):
            started = [pid for pid in processes.descendants() if pid not in before]
            most = max(most, sum(process.pss for process in processes.in_host_namespace(started)))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        action()
    finally:
        over.set()
        watcher.join()
    return most
