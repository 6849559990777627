"""urllib3's connections and pools, with two things in addition: no endless headers, and an end from outside."""

from __future__ import annotations

import socket
import threading
import weakref

from orlop import third_party

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection
else:
    urllib3 = third_party.load("urllib3", "talking to registries")
    from urllib3.connection import HTTPConnection, HTTPSConnection


class _Hurry:
    """What the connections of both kinds do in addition: not wait endlessly for a server that dribbles its headers.

    The timeout of a socket begins anew with every byte.
    """

    sock: socket.socket | None
    timeout: float | None

    def getresponse(self) -> Any:
        late = threading.Event()
        timer = threading.Timer(2 * self.timeout if self.timeout else 120, self._give_up, (late,))
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()  # type: ignore[misc]  # the class beside this one has it
        finally:
            timer.cancel()
        if late.is_set():
            # What had come until then looks like a complete answer.
            response.close()
            raise TimeoutError("the headers do not end")
        return response

    def _give_up(self, late: threading.Event) -> None:
        late.set()
        self.abandon()

    def abandon(self) -> None:
        """Wake whoever waits for this connection."""
        if self.sock is not None:
            try:
                # Not the method of a TLS socket, which would take the reader's state away under its hands.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
            except OSError:
                return  # it is gone already


class _PlainConnection(_Hurry, HTTPConnection):
    pass


class _TlsConnection(_Hurry, HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        # What the user configured needs no warning on every request.
        self.is_verified = True


class _Known:
    """What the pools of both kinds do in addition: know the connections that are in use, to be able to break them."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self._live: weakref.WeakSet[_Hurry] = weakref.WeakSet()
        self._live_lock = threading.Lock()
        super().__init__(*arguments, **settings)

    def _new_conn(self) -> Any:
        connection = super()._new_conn()  # type: ignore[misc]  # the class beside this one has it
        with self._live_lock:
            self._live.add(connection)
        return connection

    def abandon(self) -> None:
        """Break all connections."""
        with self._live_lock:
            for connection in self._live:
                connection.abandon()


class PlainPool(_Known, urllib3.HTTPConnectionPool):
    """Connections without TLS."""

    ConnectionCls = _PlainConnection


class TlsPool(_Known, urllib3.HTTPSConnectionPool):
    """Connections with TLS."""

    ConnectionCls = _TlsConnection
