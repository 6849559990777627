"""How the kernel schedules a process: policy, I/O priority, CPU affinity, memory policy, personality.

Sources: sched_setattr(2), ioprio_set(2), sched_setaffinity(2), set_mempolicy(2), personality(2).
"""

from __future__ import annotations

import os

from orlop.linux import number
from orlop.linux.call import syscall

#: sched(7). SCHED_ISO has a number and no implementation in Linux.
POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
#: linux/sched.h.
FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
#: linux/ioprio.h.
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
#: linux/mempolicy.h.
MEMORY_MODES = {
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,
    "MPOL_WEIGHTED_INTERLEAVE": 6,
}
MEMORY_FLAGS = {
    "MPOL_F_NUMA_BALANCING": 1 << 13,
    "MPOL_F_RELATIVE_NODES": 1 << 14,
    "MPOL_F_STATIC_NODES": 1 << 15,
}
PERSONALITIES = {"LINUX": 0x0000, "LINUX32": 0x0008}
_IOPRIO_WHO_PROCESS = 1


def set_scheduler(
    policy: str, flags: list[str], *, nice: int, priority: int, runtime: int, deadline: int, period: int
) -> None:
    """Set this process's policy; times in nanoseconds, for SCHED_DEADLINE only."""
    bits = 0
    for flag in flags:
        bits |= FLAGS[flag]
    attributes = (
        (48).to_bytes(4, "little")
        + POLICIES[policy].to_bytes(4, "little")
        + bits.to_bytes(8, "little")
        + nice.to_bytes(4, "little", signed=True)
        + priority.to_bytes(4, "little")
        + runtime.to_bytes(8, "little")
        + deadline.to_bytes(8, "little")
        + period.to_bytes(8, "little")
    )
    syscall(number.SCHED_SETATTR, f"sched_setattr {policy}", None, 0, attributes, 0)


def set_io_priority(io_class: str, priority: int) -> None:
    """Set this process's I/O class and its level, 0 (first) to 7."""
    value = IO_CLASSES[io_class] << 13 | priority
    syscall(number.IOPRIO_SET, f"ioprio_set {io_class} {priority}", None, _IOPRIO_WHO_PROCESS, 0, value)


def parse_list(text: str) -> set[int]:
    """The numbers in a list such as ``0-3,7`` (cpuset(7), "List format").

    Raises:
        ValueError: it is not one.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        start = int(first)
        stop = int(last) if dash else start
        if start < 0 or stop < start or stop > 1 << 16:
            raise ValueError(f"bad range {part!r}")
        numbers.update(range(start, stop + 1))
    return numbers


def set_affinity(cpus: str, pid: int = 0) -> None:
    """Let a process run on these CPUs only."""
    os.sched_setaffinity(pid, parse_list(cpus))


def set_memory_policy(mode: str, flags: list[str], nodes: str) -> None:
    """Set this process's NUMA policy for the given nodes (a list such as ``0-1``, or empty)."""
    bits = MEMORY_MODES[mode]
    for flag in flags:
        bits |= MEMORY_FLAGS[flag]
    node_mask = 0
    for node in parse_list(nodes) if nodes else ():
        node_mask |= 1 << node
    if not node_mask:
        syscall(number.SET_MEMPOLICY, f"set_mempolicy {mode}", None, bits, None, 0)
        return
    words = (node_mask.bit_length() + 63) // 64
    # The kernel reads one bit less than it is told there are (set_mempolicy(2), BUGS).
    mask = node_mask.to_bytes(words * 8, "little")
    syscall(number.SET_MEMPOLICY, f"set_mempolicy {mode}", None, bits, mask, words * 64 + 1)


def set_personality(domain: str) -> None:
    """Set the execution domain that uname(2) answers for."""
    syscall(number.PERSONALITY, f"personality {domain}", None, PERSONALITIES[domain])
