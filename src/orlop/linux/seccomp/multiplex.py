"""Calls that older architectures also reach through ``socketcall(2)`` and ``ipc(2)``.

The first argument of those says which call is meant (``linux/net.h``, ``linux/ipc.h``).
"""

from __future__ import annotations

_SOCKETCALL = (
    "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown "
    "setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg"
)
_IPC = {
    "semop": 1,
    "semget": 2,
    "semctl": 3,
    "semtimedop": 4,
    "msgsnd": 11,
    "msgrcv": 12,
    "msgget": 13,
    "msgctl": 14,
    "shmat": 21,
    "shmdt": 22,
    "shmget": 23,
    "shmctl": 24,
}

#: Name: (entry, condition on it). ipc(2) keeps a version in the upper half of its first argument.
MULTIPLEXED = {
    **{name: ("socketcall", (0, "SCMP_CMP_EQ", call, 0)) for call, name in enumerate(_SOCKETCALL.split(), start=1)},
    **{name: ("ipc", (0, "SCMP_CMP_MASKED_EQ", 0xFFFF, call)) for name, call in _IPC.items()},
}
