"""System call numbers of the calls that orlop makes itself, for the machine it runs on.

Numbers from 424 up are the same on every architecture (Linux 5.1 and later,
https://docs.kernel.org/process/adding-syscalls.html); the older ones are listed per architecture.
"""

from __future__ import annotations

from orlop.errors import Unsupported
from orlop.linux.call import MACHINE

PIDFD_SEND_SIGNAL = 424
OPEN_TREE = 428
MOVE_MOUNT = 429
FSOPEN = 430
FSCONFIG = 431
FSMOUNT = 432
FSPICK = 433
PIDFD_OPEN = 434
CLONE3 = 435
CLOSE_RANGE = 436
OPENAT2 = 437
MOUNT_SETATTR = 442

# Order: x86_64, then the table that aarch64, riscv64 and every later architecture share.
_OLDER = {
    "PIVOT_ROOT": (155, 41),
    "SCHED_SETATTR": (314, 274),
    "IOPRIO_SET": (251, 30),
    "SET_MEMPOLICY": (238, 237),
    "SECCOMP": (317, 277),
    "BPF": (321, 280),
    "EXECVE": (59, 221),
    "EXECVEAT": (322, 281),
    "KEYCTL": (250, 219),
    "CAPGET": (125, 90),
    "CAPSET": (126, 91),
    "SETRESUID": (117, 147),
    "SETRESGID": (119, 149),
    "SETGROUPS": (116, 159),
    "SETNS": (308, 268),
    "UNSHARE": (272, 97),
    "MOUNT": (165, 40),
    "UMOUNT2": (166, 39),
    "PRCTL": (157, 167),
    "SETHOSTNAME": (170, 161),
    "SETDOMAINNAME": (171, 162),
    "PRLIMIT64": (302, 261),
    "PERSONALITY": (135, 92),
    "RT_SIGACTION": (13, 134),
}
_COLUMNS = {"x86_64": 0, "aarch64": 1, "riscv64": 1, "loongarch64": 1}

if MACHINE not in _COLUMNS:
    raise Unsupported(f"orlop does not know the system call numbers of {MACHINE}")
_column = _COLUMNS[MACHINE]

PIVOT_ROOT = _OLDER["PIVOT_ROOT"][_column]
SCHED_SETATTR = _OLDER["SCHED_SETATTR"][_column]
IOPRIO_SET = _OLDER["IOPRIO_SET"][_column]
SET_MEMPOLICY = _OLDER["SET_MEMPOLICY"][_column]
SECCOMP = _OLDER["SECCOMP"][_column]
BPF = _OLDER["BPF"][_column]
EXECVE = _OLDER["EXECVE"][_column]
EXECVEAT = _OLDER["EXECVEAT"][_column]
KEYCTL = _OLDER["KEYCTL"][_column]
CAPGET = _OLDER["CAPGET"][_column]
CAPSET = _OLDER["CAPSET"][_column]
SETRESUID = _OLDER["SETRESUID"][_column]
SETRESGID = _OLDER["SETRESGID"][_column]
SETGROUPS = _OLDER["SETGROUPS"][_column]
SETNS = _OLDER["SETNS"][_column]
UNSHARE = _OLDER["UNSHARE"][_column]
MOUNT = _OLDER["MOUNT"][_column]
UMOUNT2 = _OLDER["UMOUNT2"][_column]
PRCTL = _OLDER["PRCTL"][_column]
SETHOSTNAME = _OLDER["SETHOSTNAME"][_column]
SETDOMAINNAME = _OLDER["SETDOMAINNAME"][_column]
PRLIMIT64 = _OLDER["PRLIMIT64"][_column]
PERSONALITY = _OLDER["PERSONALITY"][_column]
RT_SIGACTION = _OLDER["RT_SIGACTION"][_column]
