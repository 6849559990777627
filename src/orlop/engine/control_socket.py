"""Where a monitor is reached by those who did not start its container: ``<run root>/control/<id>``.

The holder of the monitor's lock makes the socket and takes it away; one that nobody listens at was left by a monitor
that was killed.
"""

from __future__ import annotations

import _socket
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location

_BACKLOG = 64


def directory(location: Location) -> str:
    """Where the sockets are."""
    return f"{location.run_root}/control"


def listen(location: Location, container_id: str) -> int:
    """Open a container's control socket, as its monitor; the descriptor of one that does not wait.

    Raises:
        OSError: it cannot be made.
    """
    place = directory(location)
    try:
        parent = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        _make(place)
        parent = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        path = f"/proc/self/fd/{parent}/{container_id}"  # a socket's own path may have 107 bytes only
        try:
            listener.bind(path)
        except OSError:
            os.unlink(path)  # of a monitor that was killed
            listener.bind(path)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(parent)
    return listener.detach()


def connect(location: Location, container_id: str) -> _socket.socket | None:
    """A connection to a container's monitor; None if it has none."""
    client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    parent = -1
    try:
        parent = os.open(directory(location), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        client.connect(f"/proc/self/fd/{parent}/{container_id}")
    except OSError:
        client.close()
        return None
    finally:
        if parent >= 0:
            os.close(parent)
    return client


def remove(location: Location, container_id: str) -> None:
    """Take the socket away. Who is connected stays so."""
    try:
        os.unlink(f"{directory(location)}/{container_id}")
    except OSError:
        return  # there is none, or the run directory was taken away


def _make(place: str) -> None:
    try:
        os.mkdir(place, 0o700)
    except FileExistsError:
        return
