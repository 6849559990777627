"""A server that says whatever a test has it say, and remembers what it was told."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


class Request:
    """What a client sent."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.method = handler.command
        self.path = handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        length = int(self.headers.get("content-length", "0"))
        self.body = handler.rfile.read(length) if length else b""


class HostileServer:
    """A server on loopback. ``answer`` is asked for each request; see `reply` for what it may return.

    It may also write to the connection itself, by the handler that is its second argument, and return None.
    """

    def __init__(
        self, answer: Callable[[Request, Any], Any] | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self.answer: Callable[[Request, Any], Any] = answer or (lambda _request, _handler: (404, {}, b""))
        self.requests: list[Request] = []
        self.arrived = threading.Event()
        self.ending = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                request = Request(self)
                outer.requests.append(request)
                outer.arrived.set()
                try:
                    made = outer.answer(request, self)
                    if made is not None:
                        reply(self, *made)
                    else:
                        self.close_connection = True
                except OSError:
                    self.close_connection = True  # the client has had enough

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self._serve
                raise AttributeError(name)

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Say nothing."""

            def log_error(self, *_: Any) -> None:
                """Say nothing."""

        class Http(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that goes away is what many tests are about."""

        self._http = Http(("127.0.0.1", 0), Handler)
        if context is not None:
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._http.server_address[1]
        self.authority = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def asked(self, part: str) -> list[Request]:
        """The requests whose path has a part."""
        return [request for request in self.requests if part in request.path]

    def stop(self) -> None:
        """End it."""
        self.ending.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: Any = b"") -> None:
    """Send an answer. A body that is no bytes is sent as JSON; a length that is not said is right."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    if not {"content-length", "transfer-encoding"} & {name.lower() for name in headers}:
        handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(data)
