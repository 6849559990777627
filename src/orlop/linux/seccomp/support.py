"""Ask the running kernel what its filters can do."""

from __future__ import annotations

import errno
import sys

from orlop.linux import number
from orlop.linux.call import buffer, syscall
from orlop.linux.seccomp.action import ACTIONS, FLAG_WAIT_KILLABLE_RECV, FLAGS
from orlop.linux.seccomp.architecture import ARCHITECTURES
from orlop.linux.seccomp.program import FLAG_NEW_LISTENER
from orlop.linux.seccomp.rule import OPERATORS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SET_MODE_FILTER = 1
_GET_ACTION_AVAIL = 2


def action_available(action: int) -> bool:
    """Whether the kernel knows an action (SECCOMP_GET_ACTION_AVAIL, Linux 4.14)."""
    argument = buffer(bytearray(action.to_bytes(4, sys.byteorder)))
    try:
        syscall(number.SECCOMP, "seccomp", None, _GET_ACTION_AVAIL, 0, argument)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            return False
        raise
    return True


def flag_available(flag: int) -> bool:
    """Whether the kernel knows a flag: it looks at the flags before the program, which is a null pointer here."""
    if flag == FLAG_WAIT_KILLABLE_RECV:
        flag |= FLAG_NEW_LISTENER  # EINVAL without it
    try:
        syscall(number.SECCOMP, "seccomp", None, _SET_MODE_FILTER, flag, None)
    except OSError as error:
        return error.errno == errno.EFAULT
    return True


def probe() -> dict[str, Any]:
    """The ``linux.seccomp`` object of the ``features`` document (features-linux.md)."""
    actions = [name for name, action in sorted(ACTIONS.items()) if action_available(action)]
    return {
        "enabled": bool(actions),
        "actions": actions,
        "operators": sorted(OPERATORS),
        "archs": sorted(ARCHITECTURES),
        "knownFlags": sorted(FLAGS),
        "supportedFlags": [name for name, flag in sorted(FLAGS.items()) if flag_available(flag)],
    }
