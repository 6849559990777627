"""Making processes: clone3(2) (Linux 5.3) from a single-threaded interpreter."""

from __future__ import annotations

import _signal

from orlop.linux import number
from orlop.linux.call import address_of, buffer, syscall_unlocked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.call import Buffer

CLONE_VM = 0x00000100
CLONE_FILES = 0x00000400
CLONE_PIDFD = 0x00001000
CLONE_VFORK = 0x00004000
CLONE_PARENT = 0x00008000
CLONE_INTO_CGROUP = 0x200000000

_SIZE = 88  # of struct clone_args up to `cgroup`, Linux 5.7


def clone(flags: int, *, cgroup: int = -1) -> tuple[int, int]:
    """Fork with namespace flags; ``cgroup`` is an open cgroup v2 directory that the child starts in.

    The child continues after this call as after fork, with (0, -1). Python's own fork hooks do not run, so
    the caller must have one thread only and the child should not outlive a few system calls and an exec.

    Returns:
        the child's pid and its pidfd (close-on-exec).
    """
    pidfd_storage = bytearray(4)
    arguments = arguments_of(flags, cgroup, buffer(pidfd_storage))
    pid = syscall_unlocked(number.CLONE3, "clone3", arguments, len(arguments))
    if pid == 0:
        return 0, -1
    return pid, int.from_bytes(pidfd_storage, "little")


def arguments_of(flags: int, cgroup: int, pidfd: Buffer) -> bytes:
    """``struct clone_args`` for such a fork, which will write its pidfd to that buffer."""
    words = [0] * (_SIZE // 8)
    words[0] = flags | CLONE_PIDFD
    words[1] = address_of(pidfd)
    if not flags & CLONE_PARENT:
        words[4] = _signal.SIGCHLD
    if cgroup >= 0:
        words[0] |= CLONE_INTO_CGROUP
        words[10] = cgroup
    return b"".join(word.to_bytes(8, "little") for word in words)
