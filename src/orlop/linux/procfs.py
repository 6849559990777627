"""What /proc tells about a process (proc(5))."""

from __future__ import annotations

import os


class ProcessStat:
    """The part of ``/proc/PID/stat`` that identifies a process."""

    __slots__ = ("parent", "pid", "start_time", "state")

    def __init__(self, pid: int, state: str, parent: int, start_time: int) -> None:
        self.pid = pid
        #: R, S, D, Z (zombie), T, X (dead) …
        self.state = state
        self.parent = parent
        #: Clock ticks since boot; with the pid, it names one process for good.
        self.start_time = start_time


def stat(pid: int) -> ProcessStat | None:
    """Read ``/proc/PID/stat``; None if there is no such process."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        text = os.read(descriptor, 4096)
    except ProcessLookupError:
        return None
    finally:
        os.close(descriptor)
    # The program's name is in parentheses and may itself contain spaces and parentheses.
    fields = text[text.rindex(b")") + 2 :].split()
    return ProcessStat(pid, fields[0].decode(), int(fields[1]), int(fields[19]))
