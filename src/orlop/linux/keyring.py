"""Session keyrings (keyctl(2)): a container without its own would share its caller's keys."""

from __future__ import annotations

import errno

from orlop.linux import number
from orlop.linux.call import syscall

_KEYCTL_JOIN_SESSION_KEYRING = 1
_KEYCTL_SETPERM = 5
_USER_SEARCH = 0x00080000


def join_new_session(name: str) -> bool:
    """Make a session keyring and join it; False where the kernel has no keyrings or no quota is left."""
    try:
        ring = syscall(number.KEYCTL, "keyctl join", name, _KEYCTL_JOIN_SESSION_KEYRING, name.encode())
        # Possessor: all; same user: view and search, so that `exec` as that user can join it.
        syscall(number.KEYCTL, "keyctl setperm", name, _KEYCTL_SETPERM, ring, 0x3F090000 | _USER_SEARCH)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EDQUOT, errno.EPERM):
            return False
        raise
    return True
