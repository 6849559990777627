"""Starting a created container: its init is told to become the program."""

from __future__ import annotations

import _socket
import os

from orlop.errors import Conflict
from orlop.runtime.channel import Channel
from orlop.runtime.container import Container
from orlop.runtime.create import finish_start


def start(container: Container) -> None:
    """Start a container that `create.create` made with a separate start.

    Raises:
        Conflict: it is not in the state ``created``.
        OrlopError: it could not be started; says why, as `create.Created.release` does.
    """
    with container.lock():
        container = Container.load(container.root, container.id)
        status = container.status()
        if status == "stopped":
            raise Conflict("cannot start a container that has stopped")
        if status != "created":
            raise Conflict(f"cannot start an already {status} container")
        state = container.state(status)
        channel = Channel(_socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC))
        try:
            try:
                container.connect(channel.socket)
            except ConnectionRefusedError:
                raise Conflict("cannot start a container that has stopped") from None
            channel.send("start", state=state)
            os.unlink(container.start_socket)
            finish_start(container, channel)
        finally:
            channel.close()
