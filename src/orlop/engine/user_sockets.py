"""Sockets for names in the network namespace of an ordinary user's container, which belongs to its user namespace.

Its user has all rights there, but only from inside: so a child enters both, opens them, and passes them out.
"""

from __future__ import annotations

import _socket
import os
import sys

from orlop.engine import child, launch
from orlop.errors import OrlopError
from orlop.linux import namespace, pidfd
from orlop.network.names import sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOM = _socket.CMSG_SPACE(2 * 4)


def open_for(pid: int, namespaces: Sequence[int] = ()) -> tuple[int, int]:
    """Descriptors as from `orlop.network.names.sockets.open_in`, for the container whose first process has this pid.

    ``namespaces`` are its user and its network namespace, opened; for when that process may not be looked into.

    Raises:
        OrlopError: its namespaces cannot be entered, or the kernel lacks nftables.
    """
    ours, theirs = launch.pair()

    def act() -> None:
        if namespaces:
            for each in namespaces:
                namespace.join(each, 0)
        else:
            process = pidfd.open_process(pid)
            namespace.join(process, namespace.CLONE_NEWUSER | namespace.CLONE_NEWNET)
        packed = b"".join(each.to_bytes(4, sys.byteorder) for each in sockets.open_here())
        theirs.sendmsg([b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)])

    try:
        child.run(act)
        _, ancillary, _, _ = ours.recvmsg(1, _ROOM, _socket.MSG_CMSG_CLOEXEC)
    finally:
        ours.close()
        theirs.close()
    packed = ancillary[0][2] if ancillary else b""
    found = [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4)]
    if len(found) != 2:
        for each in found:
            os.close(each)
        raise OrlopError("the sockets for names could not be passed on: too many descriptors are open")
    return found[0], found[1]
