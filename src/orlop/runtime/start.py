"""Starting a created container: its init is told to become the program."""

from __future__ import annotations

import _socket
import os

from orlop.errors import Conflict, InvalidConfig
from orlop.runtime.channel import Channel
from orlop.runtime.container import Container
from orlop.runtime.create import finish_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.runtime.readiness import Relay


def start(container: Container, *, notify_socket: str = "") -> None:
    """Start a container that `create.create` made with a separate start.

    With ``notify_socket``, if the container was created with one, return when its program has said there that it is
    ready (`orlop.runtime.readiness`), or has ended.

    Raises:
        Conflict: it is not in the state ``created``.
        InvalidConfig: its configuration has no ``process``.
        OrlopError: it could not be started; says why, as `create.Created.release` does.
    """
    relay = None
    with container.lock():
        container = Container.load(container.root, container.id)
        status = container.status()
        if status == "stopped":
            raise Conflict("cannot start a container that has stopped")
        if status != "created":
            raise Conflict(f"cannot start an already {status} container")
        if "process" not in container.config():
            raise InvalidConfig("cannot start a container whose configuration has no process")
        if notify_socket:
            relay = _relay(container, notify_socket)
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
        except BaseException:
            if relay is not None:
                relay.close()
            raise
        finally:
            channel.close()
    if relay is not None:
        _wait_until_ready(container, relay)


def _relay(container: Container, notify_socket: str) -> Relay | None:
    from orlop.runtime import readiness  # few service managers wait for it

    return readiness.Relay(container, notify_socket) if readiness.is_prepared(container) else None


def _wait_until_ready(container: Container, relay: Relay) -> None:
    from orlop.linux import pidfd

    try:
        process = pidfd.open_process(container.pid)
    except ProcessLookupError:
        return  # it has ended
    else:
        try:
            relay.wait(process, container.pid)
        finally:
            os.close(process)
    finally:
        relay.close()
