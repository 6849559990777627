"""The proxy: ports of the host whose connections the kernel cannot forward, for all containers of an engine at once.

It accepts at the containers' own claims (`orlop.network.ports.claims`). Where a connection has to go it looks up at that
moment, so that nobody has to tell it when a container gets another address.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
from typing import TYPE_CHECKING

from orlop.network import home
from orlop.network.names.loop import READABLE
from orlop.network.ports import claims, published, streams
from orlop.network.ports.datagrams import Datagrams
from orlop.network.ports.outpost import Outpost
from orlop.network.ports.specification import TCP
from orlop.network.ports.streams import Pipes, Stream
from orlop.network.subnet import Subnet
from orlop.network.subnet import parse as parse_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.network.names.loop import Loop
    from orlop.network.place import Place
    from orlop.network.ports.published import Published

    _Key = tuple[str, str, int, tuple[str, ...], str]

#: Connections that are accepted in one turn.
_AT_ONCE = 64
#: How an IPv6 socket begins the address of who came by IPv4.
_MAPPED = "::ffff:"


class Proxy:
    """The ports of several containers, served by a loop that the caller runs."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._pipes = Pipes()
        #: Who sends containers → the container's ports, by what makes them the same after a change.
        self._ports: dict[int, dict[_Key, _Tcp | Datagrams]] = {}
        self._outposts: dict[int, Outpost] = {}
        #: Likewise, of the networks of an ordinary user's.
        self._home: Outpost | None = None
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self._reserve = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def serve(self, key: int, place: Place, container_id: str, queue: int) -> None:
        """Serve the ports of a container, in place of those that were served under the same key; ``queue`` holds the claims."""
        held, served = claims.unpack(queue)
        known = self._ports.setdefault(key, {})
        there = {}
        for each, descriptor in served:
            name = (each.port, each.address, each.number, each.sources, each.interface)
            if name in known:
                there[name] = known.pop(name)
            else:
                there[name] = self._port(key, place, container_id, each, os.dup(descriptor))
        held.close()
        for gone in known.values():
            gone.close()
        self._ports[key] = there

    def forget(self, key: int) -> None:
        """Serve a container no more: its claims are given back, and its connections end."""
        for each in self._ports.pop(key, {}).values():
            each.close()
        outpost = self._outposts.pop(key, None)
        if outpost is not None:
            outpost.close()
        if not self._ports and self._home is not None:
            self._home.close()  # else it would be kept in use
            self._home = None

    def _home_outpost(self, place: Place) -> Outpost:
        """Who opens sockets where an ordinary user's networks are.

        Raises:
            OSError: nobody holds them.
        """
        holder = home.holder(place)
        if self._home is not None and (self._home.pid != holder or not self._home.is_alive()):
            self._home.close()
            self._home = None
        if self._home is None:
            self._home = Outpost(holder)
        return self._home

    def _outpost(self, key: int, pid: int) -> Outpost:
        """Who opens sockets in a container's namespaces."""
        known = self._outposts.get(key)
        if known is not None and not known.is_alive():
            self._outposts.pop(key).close()
        if key not in self._outposts:
            self._outposts[key] = Outpost(pid)
        return self._outposts[key]

    def _port(self, key: int, place: Place, container_id: str, port: Published, descriptor: int) -> _Tcp | Datagrams:
        def outpost(pid: int) -> Outpost:
            return self._outpost(key, pid) if pid else self._home_outpost(place)

        where = _Where(place, container_id, port, outpost)
        claim = socket.socket(fileno=descriptor)
        claim.setblocking(False)
        if port.protocol == TCP:
            return _Tcp(self._loop, self._pipes, claim, where, self)
        return Datagrams(self._loop, claim, where.find, where.open)

    def shed(self, listener: socket.socket) -> None:
        """Turn somebody away because there can be no descriptor more: else the loop would come back to them for ever."""
        os.close(self._reserve)
        try:
            streams.refuse(listener.accept()[0])
        except OSError:
            pass
        finally:
            self._reserve = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)


class _Where:
    """Where what comes to a port goes, and from whom it may come."""

    def __init__(self, place: Place, container_id: str, port: Published, outpost: Callable[[int], Outpost]) -> None:
        self._place = place
        self._outpost = outpost
        self._inside = 0
        self._container = container_id
        self._port = port
        self._sources = [Subnet.parse(each) for each in port.sources]

    def find(self, client: str) -> tuple[str, int] | None:
        """The container's address and port for a client; None if that may not come in, or the container is gone."""
        family, number = parse_address(_plain(client))
        if self._sources and not any(each.family == family and each.contains(number) for each in self._sources):
            return None
        in_force = published.read(self._place, self._container)
        if in_force is None:
            return None
        self._inside = in_force.inside
        if in_force.inside:
            try:
                return self._outpost(in_force.inside).address, self._port.container_port
            except OSError:
                return None
        target = in_force.targets.get(family) or next(iter(in_force.targets.values()), None)
        return (target.address, self._port.container_port) if target is not None else None

    def open(self, address: str, kind: int, client: str) -> socket.socket:
        """A socket that does not wait, to be connected to the container's address, for a client.

        Raises:
            OSError: there can be none more.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if self._place.rootless:
            return self._outpost(self._inside).open(kind, family, _plain(client))
        return socket.socket(family, kind | socket.SOCK_NONBLOCK)


def _plain(client: str) -> str:
    """A client's address as it was on the wire."""
    return client.partition("%")[0].removeprefix(_MAPPED)


class _Tcp:
    """One port of TCP, and its connections."""

    def __init__(self, loop: Loop, pipes: Pipes, claim: socket.socket, where: _Where, proxy: Proxy) -> None:
        self._loop = loop
        self._pipes = pipes
        self._claim = claim
        self._where = where
        self._proxy = proxy
        self._streams: set[Stream] = set()
        loop.add(claim.fileno(), READABLE, self._accept, self)

    def _accept(self, _events: int) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, address = self._claim.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._proxy.shed(self._claim)
                continue  # or it was broken off before we came (accept(2))
            target = self._where.find(address[0])
            if target is None:
                streams.refuse(client)
                continue
            try:
                server = self._where.open(target[0], socket.SOCK_STREAM, address[0])
                self._streams.add(Stream(self._loop, self._pipes, client, server, target, self._streams.discard))
            except OSError:
                streams.refuse(client)

    def fail(self) -> None:
        """Go on with the next connection, after something happened with one that nobody has thought of."""

    def close(self) -> None:
        """End it, and all connections."""
        for each in list(self._streams):
            each.close(abruptly=True)
        self._loop.remove(self._claim.fileno())
        self._claim.close()
