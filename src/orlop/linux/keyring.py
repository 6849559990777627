"""Session keyrings (keyctl(2)): a container without its own would share its caller's keys."""

from __future__ import annotations

import errno

from orlop.linux import number
from orlop.linux.call import syscall

KEYCTL_JOIN_SESSION_KEYRING = 1
KEYCTL_SETPERM = 5
_USER_SEARCH = 0x00080000
#: Possessor: all; same user: view and search, so that `exec` as that user can join it.
PERMISSIONS = 0x3F090000 | _USER_SEARCH
#: No keyrings here, or no quota left: the container does without.
WITHOUT = (errno.ENOSYS, errno.EDQUOT, errno.EPERM)


def join_new_session(name: str) -> bool:
    """Make a session keyring and join it; False where the kernel has no keyrings or no quota is left."""
    try:
        ring = syscall(number.KEYCTL, "keyctl join", name, KEYCTL_JOIN_SESSION_KEYRING, name.encode())
        syscall(number.KEYCTL, "keyctl setperm", name, KEYCTL_SETPERM, ring, PERMISSIONS)
    except OSError as error:
        if error.errno in WITHOUT:
            return False
        raise
    return True
