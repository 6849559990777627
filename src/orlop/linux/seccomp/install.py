"""Put a compiled filter on the calling thread."""

from __future__ import annotations

import errno
from _struct import pack

from orlop.linux import number
from orlop.linux.call import address_of, buffer, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.seccomp.program import Program

_SET_MODE_FILTER = 1


def install(program: Program) -> int:
    """Load the filter with exactly one system call; it binds from then on and cannot be taken off.

    The thread must have no_new_privs set or hold CAP_SYS_ADMIN in its user namespace.

    Returns:
        The listener's descriptor (close-on-exec) if the program notifies, otherwise -1.

    Raises:
        OSError: the kernel refused; EACCES says that neither of the two conditions holds.
    """
    instructions = buffer(bytearray(program.instructions))
    # struct sock_fprog: a count, padding, a pointer
    header = buffer(bytearray(pack("@HP", len(program), address_of(instructions))))
    try:
        result = syscall(number.SECCOMP, "seccomp", None, _SET_MODE_FILTER, program.flags, header)
    except OSError as error:
        if error.errno == errno.EACCES:
            raise PermissionError(errno.EACCES, "seccomp: a filter needs no_new_privs or CAP_SYS_ADMIN") from None
        raise
    return result if program.notify else -1
