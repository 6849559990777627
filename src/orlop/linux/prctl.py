"""Attributes of the calling process (prctl(2))."""

from __future__ import annotations

from orlop.linux import number
from orlop.linux.call import syscall

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4


def _prctl(name: str, option: int, a: int | bytes = 0, b: int = 0) -> int:
    return syscall(number.PRCTL, f"prctl {name}", None, option, a, b, 0, 0)


def set_parent_death_signal(signal: int) -> None:
    """Have the kernel send this process ``signal`` when its parent ends; 0 for none."""
    _prctl("PR_SET_PDEATHSIG", PR_SET_PDEATHSIG, signal)


def set_dumpable(dumpable: bool) -> None:
    """Whether other processes of the same user may trace this one or open its /proc files."""
    _prctl("PR_SET_DUMPABLE", PR_SET_DUMPABLE, int(dumpable))


def set_keep_capabilities(keep: bool) -> None:
    """Whether permitted capabilities survive a change of user id."""
    _prctl("PR_SET_KEEPCAPS", PR_SET_KEEPCAPS, int(keep))


def set_name(name: str) -> None:
    """The name that ps(1) shows, at most 15 bytes."""
    _prctl("PR_SET_NAME", PR_SET_NAME, name.encode()[:15])


def has_bounding_capability(capability: int) -> bool:
    """Whether the capability is in the bounding set; OSError if the kernel has none with this number."""
    return _prctl("PR_CAPBSET_READ", PR_CAPBSET_READ, capability) == 1


def drop_bounding_capability(capability: int) -> None:
    """Take a capability out of the bounding set for good."""
    _prctl("PR_CAPBSET_DROP", PR_CAPBSET_DROP, capability)


def set_subreaper(*, is_one: bool) -> None:
    """Whether this process becomes the parent of descendants whose own parent ends."""
    _prctl("PR_SET_CHILD_SUBREAPER", PR_SET_CHILD_SUBREAPER, int(is_one))


def set_no_new_privileges() -> None:
    """From now on, no exec gives this process or its children more rights."""
    _prctl("PR_SET_NO_NEW_PRIVS", PR_SET_NO_NEW_PRIVS, 1)


def clear_ambient_capabilities() -> None:
    """Empty the ambient set."""
    _prctl("PR_CAP_AMBIENT_CLEAR_ALL", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)


def raise_ambient_capability(capability: int) -> None:
    """Add a capability, permitted and inheritable, to the ambient set."""
    _prctl("PR_CAP_AMBIENT_RAISE", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
