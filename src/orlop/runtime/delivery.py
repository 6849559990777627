"""Sending a descriptor to whoever listens on a Unix socket that the command line names."""

from __future__ import annotations

import _socket

from orlop.runtime.step import step


def deliver(what: str, descriptor: int, socket_path: str, name: str) -> None:
    """Send ``descriptor`` in one message whose text is ``name``, by which the receiver knows what it is.

    Raises:
        StepFailed: nobody listens there; says that it was for ``what``.
    """
    with step(f"send {what} to", socket_path):
        socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            socket.connect(socket_path)
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptor.to_bytes(4, "little"))]
            socket.sendmsg([name.encode()], rights)
        finally:
            socket.close()
