"""A client of Docker's API that costs next to nothing itself."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

from bench.processes import ProgramFailed


class Client(http.client.HTTPConnection):
    """One connection, used again and again, as clients do."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=60)
        self._path = path

    def connect(self) -> None:
        """http.client's: open the connection."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self._path)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """What comes back; None if that is nothing.

        Raises:
            ProgramFailed: it is an error.
        """
        data = json.dumps(body).encode() if body is not None else b""
        self.request(method, path, data, {"Content-Type": "application/json"})
        response = self.getresponse()
        answer = response.read()
        if response.status >= 400:
            raise ProgramFailed(f"{method} {path}: {response.status} {answer[:300].decode(errors='replace')}")
        return json.loads(answer) if answer.startswith((b"{", b"[")) else None
