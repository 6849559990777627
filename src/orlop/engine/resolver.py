"""The process that answers containers who ask for names (`orlop.network.names`).

The monitor of a container that asks sends what `orlop.engine.name_keeper` says; the connection ends with the container.
"""

from __future__ import annotations

import _signal
import _socket
import os

from orlop import json_text, third_party
from orlop.engine import name_keeper, summon, user_network
from orlop.engine.location import Location
from orlop.errors import OrlopError
from orlop.network.names.loop import READABLE, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.network.names.service import Service

#: Seconds that it stays when nobody is left: the next container of a script asks soon.
_REST = 1.0


def live(listener: _socket.socket, run_root: str) -> None:
    """The process's whole life.

    Raises:
        Unsupported: the package that knows the format of messages is not installed.
    """
    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT):
        _signal.signal(number, _signal.SIG_DFL)
    third_party.load("dns.message", "resolving the names of containers")
    _Process(listener, run_root).run()


class _Process:
    """The process: a `Service` for each engine that has this run directory, which are one but for the strangest setups."""

    __slots__ = ("_lines", "_listener", "_loop", "_run_root", "_services")

    def __init__(self, listener: _socket.socket, run_root: str) -> None:
        self._listener = listener
        self._run_root = run_root
        self._loop = Loop()
        #: Connections of who sends containers, by their descriptors.
        self._lines: dict[int, _socket.socket] = {}
        self._services: dict[str, Service] = {}

    def run(self) -> None:
        """Serve until nobody has been there for a while."""
        self._loop.rest = _REST
        self._loop.add(self._listener.fileno(), READABLE, self._accept)
        self._loop.run()
        summon.leave(self._run_root, name_keeper.RESOLVER, self._listener)

    def _accept(self, _events: int) -> None:
        try:
            # The C type's only way to accept, as in `orlop.engine.clients`.
            descriptor, _ = self._listener._accept()  # type: ignore[attr-defined] # noqa: SLF001
        except OSError:
            return
        line = _socket.socket(fileno=descriptor)
        line.setblocking(False)
        self._lines[descriptor] = line
        self._loop.rest = None

        def heed(_events: int) -> None:
            self._heed(line)

        self._loop.add(descriptor, READABLE, heed)

    def _heed(self, line: _socket.socket) -> None:
        try:
            message, passed = summon.receive(line)
        except BlockingIOError:
            return
        if len(passed) == 2:
            self._serve(line, json_text.loads(message), passed)
            return
        for each in passed:
            os.close(each)  # there was no room for all of them: the container comes again
        self._drop(line)

    def _serve(self, line: _socket.socket, about: dict[str, Any], passed: list[int]) -> None:
        root = about["root"]
        if root not in self._services:
            from orlop.network.names.service import Service

            location = Location(root, self._run_root, rootless=about["rootless"])
            self._services[root] = Service(location.networks, self._loop)
            if not about["rootless"]:
                self._guard(location)
        udp, tcp = (_socket.socket(fileno=each) for each in passed)

        def failed() -> None:
            self._drop(line)

        location = Location(root, self._run_root, rootless=about["rootless"])
        self._services[root].add(
            line.fileno(),
            about["container"],
            (udp, tcp),
            about["servers"],
            failed,
            leads_out=about["rootless"] and about["container"] in user_network.containers(location),
            pid=(lambda: _first_process(location, about["container"])) if about["rootless"] else None,
        )

    def _guard(self, location: Location) -> None:
        """Put the engine's rules back when somebody removes them, since this process is there anyway."""
        from orlop.network import protection
        from orlop.network.firewall.sentry import Sentry

        try:
            sentry = Sentry(self._loop, lambda: protection.check(location.networks))
        except OSError:
            return  # who may not hear of changes may not make any either; names are to be answered all the same
        self._loop.add(sentry.descriptor, READABLE, sentry.look)
        self._loop.timed.append(sentry)

    def _drop(self, line: _socket.socket) -> None:
        if line.fileno() not in self._lines:
            return
        for each in self._services.values():
            each.remove(line.fileno())
        self._loop.remove(line.fileno())
        self._lines.pop(line.fileno()).close()
        if not self._lines:
            self._loop.rest = _REST


def _first_process(location: Location, container_id: str) -> int:
    """The pid of a container's first process.

    Raises:
        ProcessLookupError: it has ended.
    """
    from orlop.runtime.container import Container as RuntimeContainer

    try:
        return RuntimeContainer.load(location.runtime, container_id).pid
    except OrlopError:
        raise ProcessLookupError from None
