"""Open files of the calling process, many at once (close_range(2), Linux 5.11)."""

from __future__ import annotations

from orlop.linux import number
from orlop.linux.call import syscall

_CLOSE_RANGE_CLOEXEC = 4
_LAST = 0xFFFFFFFF


def close_on_exec(first: int) -> None:
    """Let no program that this process executes have descriptors from ``first`` up."""
    syscall(number.CLOSE_RANGE, "close_range", None, first, _LAST, _CLOSE_RANGE_CLOEXEC)
