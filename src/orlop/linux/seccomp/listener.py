"""Hand the listener of SCMP_ACT_NOTIFY to the agent that answers."""

from __future__ import annotations

import os
import sys
from _socket import AF_UNIX, MSG_NOSIGNAL, SCM_RIGHTS, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET, socket

from orlop import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def connect(path: str) -> socket:
    """Reach the agent that listens at ``path``, while that path can still be seen.

    Raises:
        OSError: nobody listens there; names the path.
    """
    connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
    try:
        _connect(connection, path)
    except OSError as error:
        connection.close()
        raise OSError(error.errno, f"connect to the seccomp agent: {error.strerror or error}", path) from None
    return connection


def send(connection: socket, listener: int, state: Mapping[str, Any], metadata: str = "") -> None:
    """Send one ContainerProcessState with the descriptor (config-linux.md), and close the connection.

    The filter is active by then: one that asks the agent about sendmsg or close would wait for itself.

    Raises:
        OSError: the agent went away.
    """
    message = {"ociVersion": state["ociVersion"], "fds": ["seccompFd"], "pid": state["pid"], "state": dict(state)}
    if metadata:
        message["metadata"] = metadata
    data = json_text.dumps(message).encode()
    try:
        rights = [(SOL_SOCKET, SCM_RIGHTS, listener.to_bytes(4, sys.byteorder))]
        sent = connection.sendmsg([data], rights, MSG_NOSIGNAL)
        if sent < len(data):  # an agent that has all may have closed its end: then even nothing cannot be sent
            connection.sendall(data[sent:], MSG_NOSIGNAL)  # the descriptor belongs to the first part alone
    except OSError as error:
        raise OSError(error.errno, f"send the seccomp listener: {error.strerror or error}") from None
    finally:
        connection.close()


def _connect(connection: socket, path: str) -> None:
    if len(os.fsencode(path)) < 108:  # sun_path
        connection.connect(path)
        return
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    finally:
        os.close(directory)
