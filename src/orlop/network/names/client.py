"""One container that asks: its two sockets, what it has asked and waits for, and the bounds of that.

Whatever a container does, it costs the resolver no more than these bounds and the other containers no more than their
turn.
"""

from __future__ import annotations

import _socket

from orlop.network.names import message
from orlop.network.names.forward import Forward
from orlop.network.names.loop import READABLE, WRITABLE
from orlop.network.names.message import Query, Unanswerable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.network.names.book import Book
    from orlop.network.names.forward import Origin
    from orlop.network.names.loop import Loop
    from orlop.network.names.upstream import Upstream

#: How many questions are taken from a container before it is the others' turn.
_IN_A_ROW = 16
#: No question is larger; one with a few options has 100 bytes.
_LARGEST_QUESTION = 4096
#: How many different questions of one container are on their way at a time, and how many wait for one answer.
_MOST_FORWARDED = 256
_MOST_WAITING = 64
#: How many connections one container has at a time, and seconds that one may be idle.
_MOST_CONNECTIONS = 16
_IDLE = 10.0
#: How many answers from the book are remembered until that changes, and how long the questions to these are.
_MOST_KNOWN = 256
_KNOWN_LENGTH = 128


class Bounds:
    """What one container may have at a time, so that there are descriptors enough for all of them."""

    __slots__ = ("_descriptors", "connections", "forwarded")

    def __init__(self, descriptors: int) -> None:
        self._descriptors = descriptors
        self.forwarded = _MOST_FORWARDED
        self.connections = _MOST_CONNECTIONS

    def share(self, clients: int) -> None:
        """Divide the descriptors among so many containers."""
        # Each has two sockets and perhaps a namespace; the rest is shared alike among its connections and its questions.
        share = max(1, (self._descriptors // max(clients, 1) - 3) // 2)
        self.forwarded = min(_MOST_FORWARDED, share)
        self.connections = min(_MOST_CONNECTIONS, share)


class Client:
    """One container. ``look`` is called before each question, so that the book is what it was when that was asked."""

    __slots__ = (
        "_book",
        "_bounds",
        "_busy",
        "_connections",
        "_container",
        "_failed",
        "_forwards",
        "_known",
        "_leads_out",
        "_look",
        "_loop",
        "_origin",
        "_tcp",
        "_udp",
        "_upstream",
        "_version",
    )

    def __init__(
        self,
        loop: Loop,
        book: Book,
        look: Callable[[], None],
        container: str,
        sockets: tuple[_socket.socket, _socket.socket],
        origin: Origin,
        upstream: Upstream,
        bounds: Bounds,
        busy: set[Client],
        failed: Callable[[], None],
        *,
        leads_out: bool = False,
    ) -> None:
        """``sockets`` are where the container asks, by UDP and TCP; ``upstream`` is asked what the book does not say.

        While anything can take too long here, this is among the ``busy``. ``failed`` is called when something went wrong that
        nobody has thought of: it ends the service for this container. ``leads_out`` says that it reaches the outside
        whatever the book says.
        """
        self._leads_out = leads_out
        self._busy = busy
        self._failed = failed
        self._loop = loop
        self._book = book
        self._look = look
        self._bounds = bounds
        self._container = container
        self._udp, self._tcp = sockets
        self._upstream = upstream
        self._origin = origin
        self._forwards: dict[tuple[bool, bytes], Forward] = {}
        #: What was answered, without the id, to questions without theirs, as long as the book has this version.
        self._known: dict[tuple[bool, bytes], bytes] = {}
        self._version = -1
        self._connections: dict[Connection, None] = {}
        for each in sockets:
            each.setblocking(False)
        loop.add(self._udp.fileno(), READABLE, self._take_packets, self)
        loop.add(self._tcp.fileno(), READABLE, self._take_connections, self)

    @property
    def has_deadlines(self) -> bool:
        """Whether there is anything that can take too long."""
        return bool(self._forwards or self._connections)

    def fail(self) -> None:
        """See `Owner.fail`: serve this container no more, until it asks for it anew."""
        self._failed()

    def tick(self) -> None:
        """Go on with what has taken too long."""
        now = self._loop.now
        for forward in [each for each in self._forwards.values() if each.deadline <= now]:
            forward.expire()
        for connection in [each for each in self._connections if each.deadline <= now]:
            connection.close()

    def close(self) -> None:
        """Serve it no more."""
        self._busy.discard(self)
        for forward in self._forwards.values():
            forward.close()
        self._forwards = {}
        for connection in list(self._connections):
            connection.close()
        for each in (self._udp, self._tcp):
            self._loop.remove(each.fileno())
            each.close()
        self._origin.close()

    def ask(self, wire: bytes, tell: Callable[[bytes], None], *, by_tcp: bool) -> bool:
        """Have ``tell`` called with the answer to a question, now or later; False if there will be none."""
        self._look()
        if self._version != self._book.version:
            self._version = self._book.version
            self._known = {}
        key = (by_tcp, wire[2:])
        known = self._known.get(key)
        if known is not None:
            tell(wire[:2] + known)
            return True
        try:
            query = Query(wire)
        except Unanswerable as reason:
            if reason.answer:
                tell(reason.answer)
            return bool(reason.answer)
        answer = self._from_book(query, by_tcp=by_tcp)
        if answer is None:
            return self._forward(query, tell, by_tcp=by_tcp)
        if message.answers_in(answer) <= 1 and len(wire) <= _KNOWN_LENGTH:  # where there are several they take turns
            if len(self._known) >= _MOST_KNOWN:
                self._known = {}
            self._known[key] = answer[2:]
        tell(answer)
        return True

    def forget(self, connection: Connection) -> None:
        """A connection was closed."""
        self._connections.pop(connection, None)

    def _from_book(self, query: Query, *, by_tcp: bool) -> bytes | None:
        """The answer to what is known here; None if somebody else is to be asked."""
        if not query.is_internet or query.kind in message.TRANSFERS:
            return query.answer(message.REFUSED, by_tcp=by_tcp)
        if query.kind == message.PTR:
            address = message.address_of(query.name)
            name = self._book.name_at(self._container, address) if address else ""
            if name:
                return query.answer(texts=[name + "."], kind=message.PTR, by_tcp=by_tcp)
        else:
            found = self._book.addresses(self._container, query.name)
            if found is not None:
                return query.answer(texts=[each for each in found if _is_asked(query.kind, each)], by_tcp=by_tcp)
        if not self._leads_out and self._book.is_shut_in(self._container):
            return query.answer(message.NO_SUCH_NAME, by_tcp=by_tcp)
        return None

    def _forward(self, query: Query, tell: Callable[[bytes], None], *, by_tcp: bool) -> bool:
        key = (by_tcp, query.wire[2:])
        forward = self._forwards.get(key)
        if forward is not None:
            # Asked again, or by several programs at once, or by ourselves around a corner: the one answer is for all.
            if forward.waiting >= _MOST_WAITING:
                return False
            forward.wait(query, tell)
            return True
        while len(self._forwards) >= self._bounds.forwarded:
            next(iter(self._forwards.values())).give_up()  # the one that has waited longest already

        def finish() -> None:
            self._forwards.pop(key, None)

        forward = Forward(self._loop, self._origin, self._upstream, query, finish, self, by_tcp=by_tcp)
        forward.wait(query, tell)
        self._forwards[key] = forward
        self._busy.add(self)
        forward.go_on()
        return True

    def _take_packets(self, _events: int) -> None:
        for _ in range(_IN_A_ROW):
            try:
                wire, source = self._udp.recvfrom(_LARGEST_QUESTION + 1)
            except OSError:
                return  # no more for now, or word that somebody did not wait for an answer

            def tell(answer: bytes, source: tuple[str, int] = source) -> None:
                try:
                    self._udp.sendto(answer, source)
                except OSError:
                    return  # who asked is gone, or does not read

            if len(wire) <= _LARGEST_QUESTION:
                self.ask(wire, tell, by_tcp=False)

    def _take_connections(self, _events: int) -> None:
        try:
            descriptor, _ = self._tcp._accept()  # type: ignore[attr-defined] # noqa: SLF001 - as in `engine.clients`
        except OSError:
            return
        taken = _socket.socket(fileno=descriptor)
        while len(self._connections) >= self._bounds.connections:
            next(iter(self._connections)).close()  # the oldest
        self._connections[Connection(self, self._loop, taken)] = None
        self._busy.add(self)


class Connection:
    """One connection of a container's: a question at a time (RFC 7766 allows that), so that it holds two messages at most."""

    __slots__ = ("_client", "_is_asking", "_loop", "_received", "_socket", "_unsent", "deadline")

    def __init__(self, client: Client, loop: Loop, taken: _socket.socket) -> None:
        self._client = client
        self._loop = loop
        self._socket: _socket.socket | None = taken
        self._received = b""
        self._unsent = b""
        self._is_asking = False
        #: When it has been idle for too long, by the loop's clock.
        self.deadline = loop.now + _IDLE
        taken.setblocking(False)
        loop.add(taken.fileno(), READABLE, self._heed, client)

    def close(self) -> None:
        """Serve it no more."""
        if self._socket is not None:
            self._loop.remove(self._socket.fileno())
            self._socket.close()
            self._socket = None
            self._client.forget(self)

    def _heed(self, _events: int) -> None:
        if self._socket is None:
            return
        try:
            if self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            else:
                data = self._socket.recv(_LARGEST_QUESTION)
                if not data:
                    self.close()
                    return
                self._received += data
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._go_on()

    def _go_on(self) -> None:
        """Ask the next question that is there, unless one is being answered."""
        while self._socket is not None and not self._is_asking and not self._unsent:
            length = int.from_bytes(self._received[:2], "big")
            if length > _LARGEST_QUESTION:
                self.close()
                return
            if len(self._received) < 2 or len(self._received) < 2 + length:
                break
            wire, self._received = self._received[2 : 2 + length], self._received[2 + length :]
            self._is_asking = True
            self.deadline = self._loop.now + _IDLE * 6  # as long as asking everybody may take
            if not self._client.ask(wire, self._tell, by_tcp=True):
                self.close()
        self._wait()

    def _tell(self, answer: bytes) -> None:
        if self._socket is None or not self._is_asking:
            return
        self._is_asking = False
        self.deadline = self._loop.now + _IDLE
        self._unsent = len(answer).to_bytes(2, "big") + answer
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass  # the rest when there is room
        except OSError:
            self.close()
            return
        self._wait()

    def _wait(self) -> None:
        if self._socket is not None:
            # While it is asking nothing more is read: what it sends meanwhile waits in the kernel, which has a bound.
            wanted = WRITABLE if self._unsent else 0 if self._is_asking else READABLE
            self._loop.change(self._socket.fileno(), wanted)


def _is_asked(kind: int, address: str) -> bool:
    return kind in (message.ANY, message.AAAA if ":" in address else message.A)
