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
FACCESSAT2 = 439
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
    "WRITE": (1, 64),
    "DUP3": (292, 24),
    "FCNTL": (72, 25),
    "IOCTL": (16, 29),
    "SOCKET": (41, 198),
    "OPENAT": (257, 56),
    "MKDIRAT": (258, 34),
    "MKNODAT": (259, 33),
    "FCHOWNAT": (260, 54),
    "SYMLINKAT": (266, 36),
    "FCHDIR": (81, 50),
    "CHDIR": (80, 49),
    "FCHOWN": (93, 55),
    "FSTATFS": (138, 44),
    "STATX": (332, 291),
    "GETCWD": (79, 17),
    "UMASK": (95, 166),
    "SETSID": (112, 157),
    "SENDTO": (44, 206),
    "RECVFROM": (45, 207),
    "EXIT_GROUP": (231, 94),
    "MMAP": (9, 222),
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
WRITE = _OLDER["WRITE"][_column]
DUP3 = _OLDER["DUP3"][_column]
FCNTL = _OLDER["FCNTL"][_column]
IOCTL = _OLDER["IOCTL"][_column]
SOCKET = _OLDER["SOCKET"][_column]
OPENAT = _OLDER["OPENAT"][_column]
MKDIRAT = _OLDER["MKDIRAT"][_column]
MKNODAT = _OLDER["MKNODAT"][_column]
FCHOWNAT = _OLDER["FCHOWNAT"][_column]
SYMLINKAT = _OLDER["SYMLINKAT"][_column]
FCHDIR = _OLDER["FCHDIR"][_column]
CHDIR = _OLDER["CHDIR"][_column]
FCHOWN = _OLDER["FCHOWN"][_column]
FSTATFS = _OLDER["FSTATFS"][_column]
STATX = _OLDER["STATX"][_column]
GETCWD = _OLDER["GETCWD"][_column]
UMASK = _OLDER["UMASK"][_column]
SETSID = _OLDER["SETSID"][_column]
SENDTO = _OLDER["SENDTO"][_column]
RECVFROM = _OLDER["RECVFROM"][_column]
EXIT_GROUP = _OLDER["EXIT_GROUP"][_column]
MMAP = _OLDER["MMAP"][_column]
