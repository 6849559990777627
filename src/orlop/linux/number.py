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
PIDFD_GETFD = 438
MOUNT_SETATTR = 442

# Order: x86_64, then the table that aarch64, riscv64 and every later architecture share.
_OLDER = {
    "PIVOT_ROOT": (155, 41),
    "SCHED_SETATTR": (314, 274),
    "SCHED_SETAFFINITY": (203, 122),
    "IOPRIO_SET": (251, 30),
    "IOPRIO_GET": (252, 31),
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
    "READ": (0, 63),
    "WRITE": (1, 64),
    "CLOSE": (3, 57),
    "MMAP": (9, 222),
    "MPROTECT": (10, 226),
    "MUNMAP": (11, 215),
    "FCHDIR": (81, 50),
    "CHDIR": (80, 49),
    "CHROOT": (161, 51),
    "SETSID": (112, 157),
    "DUP3": (292, 24),
    "FCHOWN": (93, 55),
    "FCHMOD": (91, 52),
    "OPENAT": (257, 56),
    "MKDIRAT": (258, 34),
    "MKNODAT": (259, 33),
    "SYMLINKAT": (266, 36),
    "UNLINKAT": (263, 35),
    "FCHOWNAT": (260, 54),
    "READLINKAT": (267, 78),
    "UMASK": (95, 166),
    "SOCKET": (41, 198),
    "IOCTL": (16, 29),
    "ACCEPT4": (288, 242),
    "EXIT_GROUP": (231, 94),
    "RT_SIGACTION": (13, 134),
    "RT_SIGPROCMASK": (14, 135),
}
_COLUMNS = {"x86_64": 0, "aarch64": 1, "riscv64": 1, "loongarch64": 1}

if MACHINE not in _COLUMNS:
    raise Unsupported(f"orlop does not know the system call numbers of {MACHINE}")
_column = _COLUMNS[MACHINE]

PIVOT_ROOT = _OLDER["PIVOT_ROOT"][_column]
SCHED_SETATTR = _OLDER["SCHED_SETATTR"][_column]
SCHED_SETAFFINITY = _OLDER["SCHED_SETAFFINITY"][_column]
IOPRIO_SET = _OLDER["IOPRIO_SET"][_column]
IOPRIO_GET = _OLDER["IOPRIO_GET"][_column]
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
READ = _OLDER["READ"][_column]
WRITE = _OLDER["WRITE"][_column]
CLOSE = _OLDER["CLOSE"][_column]
MMAP = _OLDER["MMAP"][_column]
MPROTECT = _OLDER["MPROTECT"][_column]
MUNMAP = _OLDER["MUNMAP"][_column]
FCHDIR = _OLDER["FCHDIR"][_column]
CHDIR = _OLDER["CHDIR"][_column]
CHROOT = _OLDER["CHROOT"][_column]
SETSID = _OLDER["SETSID"][_column]
DUP3 = _OLDER["DUP3"][_column]
FCHOWN = _OLDER["FCHOWN"][_column]
FCHMOD = _OLDER["FCHMOD"][_column]
OPENAT = _OLDER["OPENAT"][_column]
MKDIRAT = _OLDER["MKDIRAT"][_column]
MKNODAT = _OLDER["MKNODAT"][_column]
SYMLINKAT = _OLDER["SYMLINKAT"][_column]
UNLINKAT = _OLDER["UNLINKAT"][_column]
FCHOWNAT = _OLDER["FCHOWNAT"][_column]
READLINKAT = _OLDER["READLINKAT"][_column]
UMASK = _OLDER["UMASK"][_column]
SOCKET = _OLDER["SOCKET"][_column]
IOCTL = _OLDER["IOCTL"][_column]
ACCEPT4 = _OLDER["ACCEPT4"][_column]
EXIT_GROUP = _OLDER["EXIT_GROUP"][_column]
RT_SIGACTION = _OLDER["RT_SIGACTION"][_column]
RT_SIGPROCMASK = _OLDER["RT_SIGPROCMASK"][_column]
