"""Open files of the calling process, many at once (close_range(2), Linux 5.11)."""

from __future__ import annotations

from orlop.linux import number
from orlop.linux.call import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_CLOSE_RANGE_CLOEXEC = 4
_LAST = 0xFFFFFFFF


def close_on_exec(first: int) -> None:
    """Let no program that this process executes have descriptors from ``first`` up."""
    syscall(number.CLOSE_RANGE, "close_range", None, first, _LAST, _CLOSE_RANGE_CLOEXEC)


def close_all_but(keep: Iterable[int]) -> None:
    """Close every descriptor of this process that is not in ``keep``."""
    first = 0
    for descriptor in sorted(set(keep)):
        if descriptor > first:
            syscall(number.CLOSE_RANGE, "close_range", None, first, descriptor - 1, 0)
        first = descriptor + 1
    syscall(number.CLOSE_RANGE, "close_range", None, first, _LAST, 0)
