"""The server: where it listens, whom it serves, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress

import orlop
from orlop.api import children, connection, endpoints, routes
from orlop.api.hangups import HangUps
from orlop.api.listening import BACKLOG
from orlop.api.wire import Wire
from orlop.engine import repair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.api.listening import Listener
    from orlop.engine.location import Location

#: Seconds that clients have to end when the server is told to.
_PARTING = 5.0


class Server:
    """Docker's API for one engine."""

    __slots__ = ("_clients", "_hang_ups", "_headers", "_location", "_routes")

    def __init__(self, location: Location) -> None:
        self._location = location
        self._routes = routes.Routes(endpoints.every(location))
        self._clients: set[asyncio.Task[None]] = set()
        self._hang_ups: HangUps
        self._headers = {
            "Api-Version": routes.text(routes.NEWEST),
            "Docker-Experimental": "false",
            "Ostype": "linux",
            "Server": f"orlop/{orlop.__version__} (linux)",
        }

    def run(self, listeners: Sequence[Listener]) -> None:
        """Serve until SIGTERM or SIGINT comes. Containers go on; those whose policy says so are started in the beginning."""
        asyncio.run(self._run(listeners))

    async def _run(self, listeners: Sequence[Listener]) -> None:
        loop = asyncio.get_running_loop()
        self._hang_ups = HangUps()
        told_to_end = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told_to_end.set)
        servers = [
            await loop.create_server(self._accept, sock=each.socket, ssl=each.tls, backlog=BACKLOG)
            for each in listeners
        ]
        await children.call(lambda _: _repair(self._location))
        _tell_ready()
        await told_to_end.wait()
        for each in servers:
            each.close()
        await self._part()

    def _accept(self) -> Wire:
        return Wire(self._begin, self._hang_ups)

    def _begin(self, wire: Wire) -> None:
        client = asyncio.ensure_future(self._serve(wire))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _serve(self, wire: Wire) -> None:
        await connection.Connection(wire, self._routes, self._headers).serve()

    async def _part(self) -> None:
        for each in self._clients:
            each.cancel()
        if self._clients:
            await asyncio.wait(self._clients, timeout=_PARTING)


def _repair(location: Location) -> None:
    """Clear away what crashes left, and start again what is to come back after the machine was down."""
    repair.everything(location)


def _tell_ready() -> None:
    """Tell systemd, if it waits for that, that clients can come (sd_notify(3))."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client, suppress(OSError):
        client.sendto(b"READY=1", "\0" + place[1:] if place.startswith("@") else place)
