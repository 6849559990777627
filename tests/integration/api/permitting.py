"""An authorization plugin, which permits what a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Question = dict[str, Any]


def yes(_phase: str, _question: Question) -> Any:
    return {"Allow": True}


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class Permitting:
    """The plugin at a socket; ``decide`` is its policy."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.decide: Callable[[str, Question], Any] = yes
        self.asked: list[tuple[str, Question]] = []
        self.activations = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/Plugin.Activate":
                    outer.activations += 1
                    answer: Any = {"Implements": ["authz"]}
                else:
                    phase = self.path.removeprefix("/AuthZPlugin.")
                    outer.asked.append((phase, question))
                    answer = outer.decide(phase, question)
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
                pass

            def address_string(self) -> str:
                return "server"

        self._server = _Server(path, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def reset(self) -> None:
        self.decide = yes
        self.asked.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
