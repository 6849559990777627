"""The resolver of one engine: all containers that ask, and one book.

How it comes to life and hears of containers is the engine's business.
"""

from __future__ import annotations

import os
import resource

from orlop.network.names.book import Book
from orlop.network.names.client import Bounds, Client
from orlop.network.names.forward import Origin, PostedOrigin
from orlop.network.names.loop import READABLE
from orlop.network.names.upstream import Upstream
from orlop.network.names.watch import Watcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Sequence

    from orlop.network.names.loop import Loop
    from orlop.network.place import Place

#: Descriptors for other things than containers' questions.
_OTHERS = 64


class Service:
    """Everybody who is served, by a loop that the caller runs."""

    __slots__ = ("_book", "_bounds", "_busy", "_clients", "_host", "_loop", "_own", "_watcher")

    def __init__(self, place: Place, loop: Loop) -> None:
        self._loop = loop
        self._book = Book()
        self._watcher = Watcher(place, self._book)
        self._host = Upstream()
        self._clients: dict[int, Client] = {}
        self._busy: set[Client] = set()
        #: Our own network namespace, the host's.
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self._bounds = Bounds(most - _OTHERS)
        if self._watcher.descriptor >= 0:
            loop.add(self._watcher.descriptor, READABLE, self._look)
        loop.timed.append(self)

    @property
    def has_deadlines(self) -> bool:
        """Whether there is anything that can take too long."""
        return bool(self._busy)

    def tick(self) -> None:
        """Go on with what has taken too long."""
        for client in list(self._busy):
            try:
                client.tick()
            except Exception:  # noqa: BLE001 - as in `Loop.add`: who is not served is told, and the others are
                client.fail()
            if not client.has_deadlines:
                self._busy.discard(client)

    def add(
        self,
        key: int,
        container: str,
        sockets: tuple[_socket.socket, _socket.socket],
        servers: Sequence[str],
        failed: Callable[[], None],
        *,
        leads_out: bool = False,
        pid: Callable[[], int] | None = None,
    ) -> None:
        """Serve a container at ``sockets``, by UDP and TCP, until `remove` is called with the same key.

        ``servers`` are asked instead of the host's, from where the container is; empty if the user named none. ``failed``
        is called if it cannot be served any more; ``leads_out`` says that it reaches the outside though it is on no network.
        ``pid`` tells the pid of an ordinary user's container, by which alone its namespace can be entered.
        """
        self.remove(key)
        if servers and pid is not None:
            origin: Origin = PostedOrigin(self._own, pid)
        else:
            origin = Origin(self._own, sockets[0] if servers else None)
        upstream = Upstream(list(servers)) if servers else self._host
        look = self._watcher.look
        self._clients[key] = Client(
            self._loop,
            self._book,
            look,
            container,
            sockets,
            origin,
            upstream,
            self._bounds,
            self._busy,
            failed,
            leads_out=leads_out,
        )
        self._bounds.share(len(self._clients))

    def remove(self, key: int) -> None:
        """Serve a container no more."""
        client = self._clients.pop(key, None)
        if client is not None:
            client.close()
            self._bounds.share(len(self._clients))

    def _look(self, _events: int) -> None:
        self._watcher.look()
