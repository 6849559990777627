"""Actions and flags: the specification's names and the kernel's numbers (``linux/seccomp.h``)."""

from __future__ import annotations

from orlop.errors import InvalidConfig
from orlop.linux.seccomp.program import FLAG_NEW_LISTENER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

KILL_THREAD = 0x00000000
KILL_PROCESS = 0x80000000
TRAP = 0x00030000
ERRNO = 0x00050000
NOTIFY = 0x7FC00000
TRACE = 0x7FF00000
LOG = 0x7FFC0000
ALLOW = 0x7FFF0000

ACTIONS = {
    "SCMP_ACT_ALLOW": ALLOW,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_NOTIFY": NOTIFY,
    "SCMP_ACT_TRACE": TRACE,
    "SCMP_ACT_TRAP": TRAP,
}

FLAG_TSYNC = 1 << 0
FLAG_LOG = 1 << 1
FLAG_SPEC_ALLOW = 1 << 2
FLAG_TSYNC_ESRCH = 1 << 4
FLAG_WAIT_KILLABLE_RECV = 1 << 5

FLAGS = {
    "SECCOMP_FILTER_FLAG_LOG": FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": FLAG_SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_TSYNC": FLAG_TSYNC,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": FLAG_WAIT_KILLABLE_RECV,
}

_EPERM = 1
ENOSYS_RESULT = ERRNO | 38

_MAX_ERRNO = 4095  # the kernel cuts larger ones to this
_MAX_DATA = 0xFFFF  # SECCOMP_RET_DATA


def result_of(entry: Mapping[str, Any], action_key: str, errno_key: str, where: str) -> int:
    """What the filter returns for an action with its ``errnoRet``.

    Raises:
        InvalidConfig: no such action, an errno that does not fit, or one for an action that has none.
    """
    name = entry.get(action_key)
    action = ACTIONS.get(name) if isinstance(name, str) else None
    if action is None:
        raise InvalidConfig(f"{where}: unknown seccomp action {name!r}")
    number = entry.get(errno_key)
    if number is None:
        return action | _EPERM if action in (ERRNO, TRACE) else action
    if action not in (ERRNO, TRACE):
        raise InvalidConfig(f"{where}: {errno_key} has no meaning for {name}, which returns no errno")
    if not isinstance(number, int) or not 0 <= number <= (_MAX_ERRNO if action == ERRNO else _MAX_DATA):
        raise InvalidConfig(f"{where}: {errno_key} {number!r} is not an errno")
    return action | number


def permissiveness(result: int) -> int:
    """Orders results as the kernel does when filters disagree: the smallest wins."""
    action = result & 0xFFFF0000
    return action - (1 << 32) if action & KILL_PROCESS else action


def refuses(result: int) -> bool:
    """Whether a default action keeps system calls from being made, so that newer ones deserve ENOSYS.

    A tracer is expected to know what to do with a call that it has never seen.
    """
    return result & 0xFFFF0000 not in (ALLOW, LOG, TRACE) and result != ENOSYS_RESULT


def flags_of(config: Mapping[str, Any], notify: bool) -> int:
    """The flags for seccomp(2), completed by what the kernel demands of their combinations.

    Raises:
        InvalidConfig: a flag that does not exist.
    """
    names = config.get("flags")
    if names is None:
        flags = FLAG_SPEC_ALLOW
    elif not isinstance(names, list):
        raise InvalidConfig("linux.seccomp.flags is not a list")
    else:
        flags = 0
        for name in names:
            flag = FLAGS.get(name) if isinstance(name, str) else None
            if flag is None:
                raise InvalidConfig(f"linux.seccomp.flags: unknown flag {name!r}")
            flags |= flag
    if flags & FLAG_TSYNC:
        flags |= FLAG_TSYNC_ESRCH  # otherwise a failure is a positive result, which a listener is too
    if notify:
        flags |= FLAG_NEW_LISTENER
    else:
        flags &= ~FLAG_WAIT_KILLABLE_RECV  # EINVAL without a listener, and nothing to wait for
    return flags
