"""An engine that is served, and its clients: the docker command, and plain HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

from tests.integration.engine.conftest import Result, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.integration.engine.conftest import Engine


class Answer:
    """What came of one request."""

    def __init__(self, response: http.client.HTTPResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json()["message"])

    def __repr__(self) -> str:
        return f"{self.status} {self.headers} {self.body!r}"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


def ask(place: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
    """Ask whoever serves at a socket for something over HTTP; a body that is not bytes goes as JSON."""
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    connection = _Connection(place)
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return Answer(response, response.read())
    finally:
        connection.close()


class Served:
    """A server on an engine of its own, with further words of its command line and of its environment."""

    def __init__(
        self, directory: Path, engine: Engine, words: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.engine = engine
        self._words = words
        self._environment = environment or {}
        self.path = str(directory / "docker.sock")
        self._configuration = directory / "client"
        self._configuration.mkdir()
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start a server; returns when it serves."""
        self.process = self.engine.popen(
            "serve",
            "-H",
            f"unix://{self.path}",
            *self._words,
            stderr=subprocess.PIPE,
            env={**os.environ, **self._environment},
        )
        wait_until(self._serves, "a server")
        return self.process

    def _serves(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        try:
            return self("GET", "/_ping").status == 200
        except OSError:
            return False

    @property
    def pid(self) -> int:
        """The server's own process, nsenter having become it."""
        return self.process.pid

    def __call__(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Ask for something over HTTP; a body that is not bytes goes as JSON."""
        return ask(self.path, method, path, body, headers)

    def connect(self) -> socket.socket:
        """A bare connection."""
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(20)
        client.connect(self.path)
        return client

    def environment(self) -> dict[str, str]:
        """What tells Docker's clients where to go."""
        return {
            **os.environ,
            "DOCKER_HOST": f"unix://{self.path}",
            "DOCKER_CONFIG": str(self._configuration),
            "DOCKER_BUILDKIT": "0",
        }

    def docker(self, *words: str, given: bytes = b"") -> Result:
        """Run the docker command to its end."""
        done = subprocess.run(
            ["docker", *words], input=given, capture_output=True, timeout=60, check=False, env=self.environment()
        )
        return Result(["docker", *words], done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *words: str, given: bytes = b"") -> str:
        """Run the docker command, which must succeed; what it printed."""
        result = self.docker(*words, given=given)
        assert result.code == 0, result
        return result.out

    def made(self, **fields: Any) -> str:
        """Make a container over HTTP; its id."""
        host = {"NetworkMode": "none", **fields.pop("HostConfig", {})}
        answer = self("POST", "/containers/create", {"Image": "plain", "HostConfig": host, **fields})
        assert answer.status == 201, answer
        return str(answer.json()["Id"])

    def descriptors(self) -> int:
        """How many files the server has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stop(self) -> None:
        """Tell the server to end, which it does in peace."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=20)
        assert (self.process.returncode, errors) == (0, b""), errors.decode()

    def close(self) -> None:
        """End all of it."""
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            self.engine.close()
