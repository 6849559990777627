"""User and group ids of the calling thread, by system call.

libc's wrappers signal every thread of the process to change too, through state that a raw clone leaves
stale; a single-threaded process needs none of that.
"""

from __future__ import annotations

from orlop.linux import number
from orlop.linux.call import syscall


def set_user(uid: int) -> None:
    """Real, effective and saved user id (setresuid(2))."""
    syscall(number.SETRESUID, f"setresuid {uid}", None, uid, uid, uid)


def set_group(gid: int) -> None:
    """Real, effective and saved group id (setresgid(2))."""
    syscall(number.SETRESGID, f"setresgid {gid}", None, gid, gid, gid)


def set_groups(gids: list[int]) -> None:
    """Supplementary groups (setgroups(2))."""
    syscall(number.SETGROUPS, "setgroups", None, len(gids), array_of(gids))


def array_of(gids: list[int]) -> bytes:
    """Groups as setgroups(2) takes them."""
    return b"".join(gid.to_bytes(4, "little") for gid in gids)
