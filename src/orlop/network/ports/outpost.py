"""Sockets in the network namespace of an ordinary user's container, which only a process in its user namespace can open.

So the proxy leaves a child there, who opens one for each connection and passes it out. A socket stays in the namespace in
which it was opened, whoever uses it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket

from orlop.linux import namespace, pidfd, prctl
from orlop.network.ports import disguise

_LARGEST = 64
_EVERY_DESCRIPTOR = (1 << 31) - 1
#: Nobody is there (TEST-NET-1, RFC 5737): by which of its addresses the container would go there is what is asked.
_SOMEWHERE = ("192.0.2.1", 9)
_LOOPBACK = "127.0.0.1"


class Outpost:
    """A child in the namespaces of the process ``pid``; ``address`` is what leads to it from within them.

    Raises:
        OSError: they cannot be entered.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = pidfd.open_process(pid)
        try:
            self._child = os.fork()
            if self._child == 0:
                _live(theirs, process)
        finally:
            theirs.close()
            os.close(process)
        self.address = self._line.recv(_LARGEST).decode()
        if not self.address:
            self.close()
            raise PermissionError(f"the namespaces of process {pid} cannot be entered")

    def open(self, kind: int, family: int = socket.AF_INET, client: str = "") -> socket.socket:
        """A socket there, which has the address of ``client`` where that can be.

        Raises:
            OSError: there can be none more, or the child is gone.
        """
        self._line.send(bytes((family, kind)) + client.encode())
        _, descriptors, _, _ = socket.recv_fds(self._line, 1, 1)
        if not descriptors:
            raise ConnectionError("the container's namespace is gone")
        return socket.socket(fileno=descriptors[0])

    def is_alive(self) -> bool:
        """Whether the child has not been killed."""
        if self._child and os.waitpid(self._child, os.WNOHANG)[0]:
            self._child = 0
        return self._child != 0

    def close(self) -> None:
        """Have nobody there any more."""
        self._line.close()
        if self._child:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            self._child = 0


def _live(line: socket.socket, process: int) -> None:
    """The child's whole life."""
    try:
        for first, last in ((0, min(line.fileno(), process)), (max(line.fileno(), process) + 1, _EVERY_DESCRIPTOR)):
            os.closerange(first, last)
        between = sorted((line.fileno(), process))
        os.closerange(between[0] + 1, between[1])
        prctl.set_dumpable(False)  # nothing of the container is to look into us
        namespace.join(process, namespace.CLONE_NEWUSER | namespace.CLONE_NEWNET)
        disguises = disguise.is_prepared()
        line.send(_own_address().encode())
        while asked := line.recv(_LARGEST):
            with socket.socket(asked[0], asked[1] | socket.SOCK_NONBLOCK) as made:
                client = asked[2:].decode()
                if client and disguises and disguise.is_possible(client, asked[0]):
                    with contextlib.suppress(OSError):  # an address that a socket cannot have: then the proxy's
                        disguise.put_on(made, client)
                socket.send_fds(line, [b"+"], [made.fileno()])
    finally:
        os._exit(0)


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_SOMEWHERE)
        except OSError:
            return _LOOPBACK  # nothing leads out of it
        return str(probe.getsockname()[0])
