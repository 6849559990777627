"""The proxy's sessions of UDP: for each client a socket of its own to the container, until nothing came for a while.

Answers leave from the address to which the client had sent, which on a host with several is not always the one that the
routes would choose (IPV6_PKTINFO in ipv6(7)).
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from typing import TYPE_CHECKING

from orlop.network.names.loop import READABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.network.names.loop import Loop

    #: A client's address and port, and to what of the host's it sent: the ancillary data to answer with.
    Peer = tuple[tuple[str, int, int, int] | tuple[str, int], bytes]

#: Seconds without a datagram in either direction after which a session ends, as docker's proxy has it.
IDLE = 90.0
#: Sessions of one port; beyond these the one that was quiet for longest ends.
MOST = 1024
_LARGEST = 1 << 16
#: Datagrams in one turn, so that a busy port does not keep the others waiting.
_AT_ONCE = 64
_IP_PKTINFO = 8  # which Python 3.11 does not name
_PKTINFO_SIZE = 20  # struct in6_pktinfo; struct in_pktinfo has 12


class _Session:
    """A client, and the socket that stands for it before the container."""

    __slots__ = ("last", "peer", "server")

    def __init__(self, server: socket.socket, peer: Peer, now: float) -> None:
        self.server = server
        self.peer = peer
        self.last = now


class Datagrams:
    """One port of UDP. ``find`` tells where a client's datagrams go: an address and a port, or None for nowhere.

    ``open_socket`` makes a socket that does not wait, to be connected to an address, of a kind and for a client.
    """

    def __init__(
        self,
        loop: Loop,
        port: socket.socket,
        find: Callable[[str], tuple[str, int] | None],
        open_socket: Callable[[str, int, str], socket.socket],
    ) -> None:
        self._loop = loop
        self._port = port
        self._find = find
        self._open = open_socket
        self._is_ipv6 = port.family == socket.AF_INET6
        self._sessions: OrderedDict[Peer, _Session] = OrderedDict()
        port.setblocking(False)
        if self._is_ipv6:
            port.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            port.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        loop.add(port.fileno(), READABLE, self._take, self)
        loop.timed.append(self)

    def _take(self, _events: int) -> None:
        """Pass on what clients have sent."""
        for _ in range(_AT_ONCE):
            try:
                data, ancillary, _, address = self._port.recvmsg(_LARGEST, socket.CMSG_SPACE(_PKTINFO_SIZE))
            except BlockingIOError:
                return
            except OSError:
                continue  # what came back for an answer that nobody wanted
            peer = (address, ancillary[0][2] if ancillary else b"")
            session = self._sessions.get(peer) or self._begin(peer)
            if session is None:
                continue
            session.last = self._loop.now
            self._sessions.move_to_end(peer)
            try:
                session.server.send(data)
            except OSError:
                continue  # the container does not want it (ECONNREFUSED), or has no room: as on any network

    def _begin(self, peer: Peer) -> _Session | None:
        target = self._find(peer[0][0])
        if target is None:
            return None
        while len(self._sessions) >= MOST:
            self._end(next(iter(self._sessions.values())))
        try:
            server = self._open(target[0], socket.SOCK_DGRAM, peer[0][0])
        except OSError:
            return None  # there can be no socket more just now
        try:
            server.connect(target)
        except OSError:
            server.close()
            return None
        session = self._sessions[peer] = _Session(server, peer, self._loop.now)
        self._loop.add(server.fileno(), READABLE, lambda _events: self._answer(session), self)
        return session

    def _answer(self, session: _Session) -> None:
        """Pass on what the container has answered."""
        address, info = session.peer
        kind = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) if self._is_ipv6 else (socket.IPPROTO_IP, _IP_PKTINFO)
        for _ in range(_AT_ONCE):
            try:
                data = session.server.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError:
                continue  # nobody listens in the container: that was told, and is over
            session.last = self._loop.now
            self._sessions.move_to_end(session.peer)
            try:
                self._port.sendmsg([data], [(*kind, info)] if info else [], 0, address)
            except OSError:
                continue  # the client is gone, or there is no room: as on any network

    @property
    def has_deadlines(self) -> bool:
        """Whether there are sessions, which end when nothing happens in them any more."""
        return bool(self._sessions)

    def tick(self) -> None:
        """End the sessions in which nothing happens any more; the oldest are first."""
        while self._sessions:
            first = next(iter(self._sessions.values()))
            if self._loop.now - first.last < IDLE:
                return
            self._end(first)

    def _end(self, session: _Session) -> None:
        del self._sessions[session.peer]
        self._loop.remove(session.server.fileno())
        session.server.close()

    def fail(self) -> None:
        """End all sessions, because something happened that nobody has thought of; the port goes on."""
        for session in list(self._sessions.values()):
            self._end(session)

    def close(self) -> None:
        """End all sessions and the port."""
        self.fail()
        self._loop.remove(self._port.fileno())
        self._loop.timed.remove(self)
        self._port.close()
