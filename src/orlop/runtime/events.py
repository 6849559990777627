"""What happens to a running container: what it uses, and that it ran out of memory.

Each event is a dictionary in the form of ``runc events``: ``{"type": "stats", "id": …, "data": {…}}`` or
``{"type": "oom", "id": …}``.
"""

from __future__ import annotations

import os
import select
import time

from orlop.errors import Conflict, Unsupported
from orlop.linux import pidfd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from orlop.linux.cgroup.oom import OomWatch
    from orlop.runtime.container import Container


def statistics(container: Container) -> dict[str, Any]:
    """One event with what the container has used until now.

    Raises:
        Conflict: it does not run.
    """
    if not container.alive():
        raise Conflict(f"container with id {container.id} is not running")
    return _statistics(container)


def _statistics(container: Container) -> dict[str, Any]:
    # The last two are what runc adds from elsewhere: Intel's resource director and its own network devices.
    data = {**container.cgroup().statistics(), "intel_rdt": {}, "network_interfaces": None}
    return {"type": "stats", "id": container.id, "data": data}


def stream(container: Container, interval: float) -> Iterator[dict[str, Any]]:
    """Statistics each ``interval`` seconds and out-of-memory events as they happen, until the container ends.

    Raises:
        Conflict: it does not run.
    """
    if not container.alive():
        raise Conflict(f"container with id {container.id} is not running")
    try:
        process = pidfd.open_process(container.pid)
    except ProcessLookupError:
        return  # it ended between two looks
    try:
        watch = _watch(container)
        try:
            yield from _until_end(container, interval, process, watch)
        finally:
            if watch is not None:
                watch.close()
    finally:
        os.close(process)


def _watch(container: Container) -> OomWatch | None:
    from orlop.linux.cgroup.oom import OomWatch

    try:
        return OomWatch(container.cgroup())
    except Unsupported:
        return None  # without a memory controller there is nothing to run out of


def _until_end(container: Container, interval: float, process: int, watch: OomWatch | None) -> Iterator[dict[str, Any]]:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    if watch is not None:
        poll.register(watch.descriptor, watch.events)
    due = time.monotonic() + interval
    while True:
        ready = [descriptor for descriptor, _ in poll.poll(_milliseconds(due - time.monotonic()))]
        # An event and the end that it caused arrive together: the event goes first.
        for _ in range(watch.count() if watch is not None else 0):
            yield {"type": "oom", "id": container.id}
        if process in ready:
            return
        if time.monotonic() >= due:
            due = max(due + interval, time.monotonic())
            try:
                yield _statistics(container)
            except OSError:
                if container.alive():
                    raise
                # Its cgroup was removed while we read it; the next round sees the end.


def _milliseconds(seconds: float) -> float:
    """What poll(2) can wait of a time; it is looked at again afterwards."""
    return min(max(0.0, seconds) * 1000, (1 << 31) - 1)
