"""The server: where it listens, whom it serves, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from contextlib import suppress

import orlop
from orlop.api import connection, endpoints, routes
from orlop.api.wire import Wire
from orlop.errors import Conflict, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from orlop.engine.location import Location

#: Seconds that clients have to end when the server is told to.
_PARTING = 5.0
#: Clients that may wait to be accepted.
_BACKLOG = 1024


class Server:
    """Docker's API for one engine."""

    __slots__ = ("_clients", "_headers", "_location", "_routes")

    def __init__(self, location: Location) -> None:
        self._location = location
        self._routes = routes.Routes(endpoints.every(location))
        self._clients: set[asyncio.Task[None]] = set()
        self._headers = {
            "Api-Version": routes.text(routes.NEWEST),
            "Docker-Experimental": "false",
            "Ostype": "linux",
            "Server": f"orlop/{orlop.__version__} (linux)",
        }

    def run(self, listeners: Sequence[socket.socket]) -> None:
        """Serve until SIGTERM or SIGINT comes. Containers go on."""
        asyncio.run(self._run(listeners))

    async def _run(self, listeners: Sequence[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        told_to_end = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told_to_end.set)
        servers = [await loop.create_server(self._accept, sock=each, backlog=_BACKLOG) for each in listeners]
        _tell_ready()
        await told_to_end.wait()
        for each in servers:
            each.close()
        await self._part()

    def _accept(self) -> Wire:
        wire = Wire()
        client = asyncio.ensure_future(self._serve(wire))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)
        return wire

    async def _serve(self, wire: Wire) -> None:
        await connection.Connection(wire, self._routes, self._headers).serve()

    async def _part(self) -> None:
        for each in self._clients:
            each.cancel()
        if self._clients:
            await asyncio.wait(self._clients, timeout=_PARTING)


def listen(path: str, *, group: int = -1) -> socket.socket:
    """Listen on a Unix socket that root and the group's members can connect to.

    One that a killed server left is replaced.

    Raises:
        Conflict: somebody else listens there.
        OrlopError: it cannot be made.
    """
    import socket as sockets

    listener = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        with suppress(FileNotFoundError):
            _clear(path)
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        if group >= 0:
            os.chown(path, -1, group)
            os.chmod(path, 0o660)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OrlopError(f"cannot listen on {path}: {error.strerror or error}") from None
    except BaseException:
        listener.close()
        raise
    return listener


def _clear(path: str) -> None:
    """Remove the socket that a killed server left."""
    import socket as sockets

    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise Conflict(f"cannot listen on {path}: it is there and no socket; give another one with -H")
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as client:
        try:
            client.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise Conflict(f"cannot listen on {path}: another server listens there")


def _tell_ready() -> None:
    """Tell systemd, if it waits for that, that clients can come (sd_notify(3))."""
    import socket as sockets

    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as client, suppress(OSError):
        client.sendto(b"READY=1", "\0" + place[1:] if place.startswith("@") else place)
