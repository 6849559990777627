"""Whatever comes to the API's server: no answer that blames the server, none that does not come, and nothing that stays."""

from __future__ import annotations

import os
import random
import socket
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from tests.engine_api_requests import Requests
from tests.integration.api.conftest import nothing_is_left, served
from tests.integration.engine.conftest import rootfs, wait_until

if TYPE_CHECKING:
    from tests.engine_api_requests import Call
    from tests.integration.api.served import Served

__all__ = ["nothing_is_left", "rootfs", "served"]

#: ORLOP_SOAK multiplies it, ORLOP_SEED makes another chance.
CALLS = int(3000 * float(os.environ.get("ORLOP_SOAK", "1")))
LOOP = ["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done"]
#: Seconds within which every answer begins, on a machine that has much else to do.
_PATIENCE = 60
_TOGETHER = 100


class _Connection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_PATIENCE)
        self.sock.connect(self._path)


def _asked(served: Served, call: Call) -> tuple[int, bytes]:
    """The status of the answer and how it begins; what goes on for ever is left."""
    connection = _Connection(served.path)
    try:
        connection.request(call.method, call.path, call.body, call.headers)
        response = connection.getresponse()
        assert connection.sock is not None or response.isclosed() or response.will_close
        if response.status >= 400:
            return response.status, response.read()
        if connection.sock is not None:
            connection.sock.settimeout(0.3)
        try:
            return response.status, response.read(1 << 16)
        except (TimeoutError, HTTPException):
            return response.status, b""
    finally:
        connection.close()


def test_nothing_that_a_client_can_send_is_the_server_s_mistake(served: Served) -> None:
    chance = random.Random(os.environ.get("ORLOP_SEED", "1"))
    calls = Requests(chance)
    archive = served("GET", "/images/plain/get").body
    wrong = []
    before = 0
    for number in range(CALLS):
        if number % _TOGETHER == 0:
            _have_something(served, archive)
            before = before or served.descriptors()
        call = next(calls)
        try:
            status, body = _asked(served, call)
        except (OSError, HTTPException) as error:
            wrong.append(f"{call!r}: {error!r}")
            continue
        if status == 500:
            wrong.append(f"{call!r}: {status} {body!r}")
    assert not wrong, "\n".join(["", *wrong])
    for name in served.engine.names():
        served.engine("rm", "-f", "-v", name)
    wait_until(lambda: served.descriptors() <= before, "a server that holds no more than in the beginning")
    with open(f"/proc/{served.pid}/task/{served.pid}/children") as children:
        assert children.read() == ""


def _have_something(served: Served, archive: bytes) -> None:
    """An image, a container that runs, a network and a volume: what there is to speak of."""
    for name in served.engine.names():
        served.engine("rm", "-f", "-v", name)
    if served("GET", "/images/plain/json").status == 404:
        assert served("POST", "/images/load", archive, {"Content-Type": "application/x-tar"}).status == 200
    body = {"Image": "plain", "Cmd": LOOP, "HostConfig": {"NetworkMode": "none"}}
    assert served("POST", "/containers/create?name=web", body).status == 201
    assert served("POST", "/containers/web/start").status == 204
    served("POST", "/networks/create", {"Name": "one"})
    served("POST", "/volumes/create", {"Name": "one"})
