"""Resource limits by the names of setrlimit(2)."""

from __future__ import annotations

from orlop.linux import number
from orlop.linux.call import syscall

NUMBERS = {
    "RLIMIT_CPU": 0,
    "RLIMIT_FSIZE": 1,
    "RLIMIT_DATA": 2,
    "RLIMIT_STACK": 3,
    "RLIMIT_CORE": 4,
    "RLIMIT_RSS": 5,
    "RLIMIT_NPROC": 6,
    "RLIMIT_NOFILE": 7,
    "RLIMIT_MEMLOCK": 8,
    "RLIMIT_AS": 9,
    "RLIMIT_LOCKS": 10,
    "RLIMIT_SIGPENDING": 11,
    "RLIMIT_MSGQUEUE": 12,
    "RLIMIT_NICE": 13,
    "RLIMIT_RTPRIO": 14,
    "RLIMIT_RTTIME": 15,
}

_UNLIMITED = (1 << 64) - 1


def set_limit(name: str, soft: int, hard: int) -> None:
    """Set one limit of this process; -1 and 2**64-1 mean unlimited.

    Raises:
        PermissionError: the hard limit is above the present one, without CAP_SYS_RESOURCE.
    """
    pair = pair_of(soft, hard)
    syscall(number.PRLIMIT64, f"prlimit {name}", None, 0, NUMBERS[name], pair, 0)


def pair_of(soft: int, hard: int) -> bytes:
    """``struct rlimit64``."""
    return (soft & _UNLIMITED).to_bytes(8, "little") + (hard & _UNLIMITED).to_bytes(8, "little")
