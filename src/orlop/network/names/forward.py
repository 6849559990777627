"""Asking somebody else: one question on its way to resolvers outside, until one of them has answered it.

Each attempt has a socket and an id of its own, both chosen at random by the kernel, and hears only the server that it
is connected to: whoever wants to put a false answer in has to guess both in time (RFC 5452).
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import os

from orlop.linux import namespace as namespaces
from orlop.network.names import message
from orlop.network.names.loop import READABLE, WRITABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.network.names.loop import Loop, Owner
    from orlop.network.names.message import Query
    from orlop.network.names.upstream import Upstream
    from orlop.network.ports.outpost import Outpost

_PORT = 53
_SIOCGSKNS = 0x894C  # a descriptor of the network namespace that a socket is in (Linux 4.10)
_PREFIX = 2  # bytes that say how long a message is, by TCP


class Origin:
    """The network namespace that questions are sent from.

    ``own`` is a descriptor of the one that this process is in; ``inside`` a socket in another one, if that is meant.
    """

    __slots__ = ("_other", "_own")

    def __init__(self, own: int, inside: _socket.socket | None = None) -> None:
        self._own = own
        self._other = -1 if inside is None else fcntl.ioctl(inside.fileno(), _SIOCGSKNS)

    def open(self, family: int, kind: int) -> _socket.socket:
        """A socket there.

        Raises:
            OSError: the namespace cannot be entered, or there can be no socket more.
        """
        if self._other < 0:
            return _open(family, kind)
        namespaces.join(self._other, namespaces.CLONE_NEWNET)
        try:
            return _open(family, kind)
        finally:
            namespaces.join(self._own, namespaces.CLONE_NEWNET)

    def close(self) -> None:
        """Keep the other namespace no more."""
        if self._other >= 0:
            os.close(self._other)


class PostedOrigin(Origin):
    """The network namespace of an ordinary user's container, where only a child can open sockets.

    ``find`` tells the pid of the container's first process; it is asked with the first question.
    """

    __slots__ = ("_find", "_outpost")

    def __init__(self, own: int, find: Callable[[], int]) -> None:
        super().__init__(own)
        self._find = find
        self._outpost: Outpost | None = None

    def open(self, family: int, kind: int) -> _socket.socket:
        """See `Origin.open`."""
        from orlop.network.ports.outpost import Outpost

        if self._outpost is not None and not self._outpost.is_alive():
            self._outpost.close()
            self._outpost = None
        if self._outpost is None:
            self._outpost = Outpost(self._find())
        return self._outpost.open(kind, family)

    def close(self) -> None:
        """See `Origin.close`."""
        if self._outpost is not None:
            self._outpost.close()


def _open(family: int, kind: int) -> _socket.socket:
    return _socket.socket(family, kind | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)


class Forward:
    """One question on its way. ``wait`` for its answer any number of times; ``finish`` is called when that was given."""

    __slots__ = (
        "_attempts",
        "_best",
        "_by_tcp",
        "_finish",
        "_loop",
        "_number",
        "_origin",
        "_owner",
        "_query",
        "_received",
        "_server",
        "_socket",
        "_unsent",
        "_upstream",
        "_waiting",
        "deadline",
    )

    def __init__(
        self,
        loop: Loop,
        origin: Origin,
        upstream: Upstream,
        query: Query,
        finish: Callable[[], None],
        owner: Owner,
        *,
        by_tcp: bool,
    ) -> None:
        self._loop = loop
        self._owner = owner
        self._origin = origin
        self._upstream = upstream
        self._query = query
        self._finish = finish
        self._by_tcp = by_tcp
        self._attempts = upstream.servers() * upstream.rounds
        self._waiting: list[tuple[Query, Callable[[bytes], None]]] = []
        self._best = b""
        self._server = ""
        self._number = b""
        self._socket: _socket.socket | None = None
        self._unsent = b""
        self._received = b""
        #: When to ask the next one, by the loop's clock.
        self.deadline = 0.0

    @property
    def waiting(self) -> int:
        """How many wait for the answer."""
        return len(self._waiting)

    def wait(self, query: Query, tell: Callable[[bytes], None]) -> None:
        """Have ``tell`` called with the answer, as one to ``query``."""
        self._waiting.append((query, tell))

    def go_on(self) -> None:
        """Ask the next server; if there is none, tell the best there was."""
        self.close()
        while self._attempts:
            self._server = self._attempts.pop(0)
            try:
                self._ask()
                return
            except (OSError, ValueError):
                self.close()
        self._end(self._best or self._query.answer(message.SERVER_FAILURE, by_tcp=self._by_tcp))

    def expire(self) -> None:
        """Ask the next server, since this one takes too long."""
        self._upstream.was_silent(self._server)
        self.go_on()

    def give_up(self) -> None:
        """Tell who waits that there is no answer."""
        self.close()
        self._end(self._query.answer(message.SERVER_FAILURE, by_tcp=self._by_tcp))

    def close(self) -> None:
        """Ask nobody any more."""
        if self._socket is not None:
            self._loop.remove(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _ask(self) -> None:
        family, address = _destination(self._server)
        kind = _socket.SOCK_STREAM if self._by_tcp else _socket.SOCK_DGRAM
        self._socket = self._origin.open(family, kind)
        self._number = os.urandom(2)
        asked = self._number + self._query.wire[2:]
        self._received = b""
        self.deadline = self._loop.now + self._upstream.patience
        if self._by_tcp:
            self._unsent = len(asked).to_bytes(_PREFIX, "big") + asked
            try:
                self._socket.connect(address)
            except BlockingIOError:
                pass  # it goes on by itself
            self._loop.add(self._socket.fileno(), WRITABLE, self._heed, self._owner)
        else:
            self._socket.connect(address)
            self._socket.send(asked)
            self._loop.add(self._socket.fileno(), READABLE, self._heed, self._owner)

    def _heed(self, _events: int) -> None:
        try:
            answer = self._by_stream() if self._by_tcp else self._by_packet()
        except BlockingIOError:
            return
        except OSError:
            self.go_on()  # nobody is there
            return
        if not answer:
            return
        self._upstream.has_answered(self._server)
        if message.code_of(answer) in message.UNHELPFUL and self._attempts:
            self._best = answer
            self._attempts = [each for each in self._attempts if each != self._server]
            self.go_on()
            return
        self._end(answer)

    def _by_packet(self) -> bytes:
        """An answer that came by UDP; empty if it is none to our question."""
        if self._socket is None:
            return b""
        answer = self._socket.recv(message.LARGEST)
        return answer if message.is_answer_to(self._query, self._number, answer) else b""

    def _by_stream(self) -> bytes:
        """An answer that came by TCP; empty if it is not complete yet.

        Raises:
            OSError: there will not be one.
        """
        if self._socket is None:
            return b""
        if self._unsent:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
            if not self._unsent:
                self._loop.change(self._socket.fileno(), READABLE)
            return b""
        data = self._socket.recv(_PREFIX + message.LARGEST - len(self._received))
        self._received += data
        length = int.from_bytes(self._received[:_PREFIX], "big")
        if len(self._received) >= _PREFIX and len(self._received) >= _PREFIX + length:
            answer = self._received[_PREFIX : _PREFIX + length]
            if message.is_answer_to(self._query, self._number, answer):
                return answer
            data = b""
        if not data:
            raise OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        return b""

    def _end(self, answer: bytes) -> None:
        self.close()
        self._finish()
        waiting, self._waiting = self._waiting, []
        for query, tell in waiting:
            mine = query.wire[:2] + answer[2:]
            tell(mine if self._by_tcp else query.fit(mine))


def _destination(server: str) -> tuple[int, tuple[str, int] | tuple[str, int, int, int]]:
    """A server's family and socket address; an IPv6 one of a link has its device behind a percent sign.

    Raises:
        OSError: it is no address, or there is no such device.
    """
    if ":" not in server:
        _socket.inet_pton(_socket.AF_INET, server)
        return _socket.AF_INET, (server, _PORT)
    address, _, device = server.partition("%")
    _socket.inet_pton(_socket.AF_INET6, address)
    scope = 0
    if device:
        scope = int(device) if device.isascii() and device.isdigit() else _socket.if_nametoindex(device)
    return _socket.AF_INET6, (address, _PORT, 0, scope)
