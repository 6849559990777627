"""The server: where it listens, whom it serves, and how it ends."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
import time
from contextlib import suppress

import orlop
from orlop import third_party
from orlop.api import children, connection, endpoints, routes
from orlop.api.hangups import HangUps
from orlop.api.listening import BACKLOG
from orlop.api.metrics import Metrics
from orlop.api.peer import Peer
from orlop.api.service import Service
from orlop.api.wire import Wire
from orlop.engine import repair
from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.api.audit import AuditLog
    from orlop.api.authorization import Authorization
    from orlop.api.listening import Listener
    from orlop.engine.location import Location

#: Seconds that clients have to end when the server is told to.
_PARTING = 5.0
#: Files that the server has open at most, where the hard limit allows them; those that are not for clients, and those that
#: one client may take: its connection, a log, a watch, and a container's control socket.
_MOST_FILES = 1 << 20
_OWN_FILES = 200
_FILES = 4
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Server:
    """Docker's API for one engine."""

    __slots__ = (
        "_audit",
        "_authorization",
        "_clients",
        "_h11",
        "_hang_ups",
        "_headers",
        "_listeners",
        "_location",
        "_metrics",
        "_most_clients",
        "_servers",
        "_service",
    )

    def __init__(
        self, location: Location, authorization: Authorization | None = None, audit: AuditLog | None = None
    ) -> None:
        self._location = location
        self._authorization = authorization
        self._audit = audit
        self._metrics = Metrics()
        every = routes.Routes(endpoints.every(location, self._metrics))
        self._service = Service(every, self._metrics, authorization, audit)
        self._clients: set[asyncio.Task[None]] = set()
        self._most_clients = 0
        self._listeners: Sequence[Listener] = ()
        self._servers: list[asyncio.Server] = []
        self._hang_ups: HangUps
        self._h11 = third_party.load("h11", "orlop serve")
        self._headers = {
            "Api-Version": routes.text(routes.NEWEST),
            "Docker-Experimental": "false",
            "Ostype": "linux",
            "Server": f"orlop/{orlop.__version__} (linux)",
        }

    def run(self, listeners: Sequence[Listener]) -> None:
        """Serve until SIGTERM or SIGINT comes. Containers go on; those whose policy says so are started in the beginning.

        SIGHUP has certificates read and the audit log opened again, and authorization plugins looked for.
        """
        self._listeners = listeners
        self._most_clients = max(1, (_allow_many_files() - _OWN_FILES) // _FILES)
        asyncio.run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._hang_ups = HangUps()
        told_to_end, told_to_reload = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told_to_end.set)
        loop.add_signal_handler(signal.SIGHUP, told_to_reload.set)
        self._servers = [await self._listen(each) for each in self._listeners]
        await children.call(lambda _: _repair(self._location))
        _tell("READY=1")
        reloading = asyncio.ensure_future(self._reload_when(told_to_reload))
        await told_to_end.wait()
        _tell("STOPPING=1")
        reloading.cancel()
        for each in self._servers:
            each.close()
        await self._part()
        await asyncio.gather(reloading, return_exceptions=True)

    async def _listen(self, listener: Listener) -> asyncio.Server:
        """Accept clients, at a copy of the socket: it goes on being listened at whatever becomes of this."""
        return await asyncio.get_running_loop().create_server(
            self._accept, sock=listener.socket.dup(), ssl=listener.tls, backlog=BACKLOG
        )

    async def _reload_when(self, told: asyncio.Event) -> None:
        while True:
            await told.wait()
            told.clear()
            _tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
            await self._reload()
            _tell("READY=1")

    async def _reload(self) -> None:
        """Take up what was changed; what cannot be is told, and goes on as it was."""
        try:
            if self._audit is not None:
                self._audit.reopen()
            for index, each in enumerate(self._listeners):
                if each.certificates is not None:
                    each.tls = each.certificates.context()
                    before, self._servers[index] = self._servers[index], await self._listen(each)
                    before.close()
        except (OrlopError, OSError) as error:
            sys.stderr.write(f"orlop serve: cannot reload: {error}\n")
        if self._authorization is not None:
            self._authorization.forget()

    def _accept(self) -> Wire:
        return Wire(self._begin, self._hang_ups)

    def _begin(self, wire: Wire) -> None:
        if len(self._clients) >= self._most_clients:
            wire.transport.write(_FULL)
            wire.close()
            return
        serving = connection.Connection(wire, Peer(wire.transport), self._service, self._headers, self._h11)
        client = asyncio.ensure_future(serving.serve())
        self._clients.add(client)
        self._metrics.connected(+1)
        client.add_done_callback(self._parted)

    def _parted(self, client: asyncio.Task[None]) -> None:
        self._clients.discard(client)
        self._metrics.connected(-1)

    async def _part(self) -> None:
        for each in self._clients:
            each.cancel()
        if self._clients:
            await asyncio.wait(self._clients, timeout=_PARTING)


def _allow_many_files() -> int:
    """Let this process, and none of its children, have as many files open as it may; how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(soft, min(hard, _MOST_FILES) if hard != resource.RLIM_INFINITY else _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    os.register_at_fork(after_in_child=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
    return most


def _repair(location: Location) -> None:
    """Clear away what crashes left, and start again what is to come back after the machine was down."""
    repair.everything(location)


def _tell(what: str) -> None:
    """Tell systemd, if it wants to know, what the server does (sd_notify(3))."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client, suppress(OSError):
        client.sendto(what.encode(), "\0" + place[1:] if place.startswith("@") else place)
