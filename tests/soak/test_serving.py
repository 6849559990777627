"""A server that one leaves running: thousands of lives, thousands of clients that wait, and clients that attack for long."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.api.conftest import served
from tests.integration.api.siege import Siege
from tests.integration.api.test_protocol import head_of, request
from tests.integration.engine.conftest import rootfs, wait_until

if TYPE_CHECKING:
    import socket

    from tests.integration.api.served import Served

__all__ = ["rootfs", "served"]

_TIMES = float(os.environ.get("ORLOP_SOAK", "1"))
_MIB = 1 << 20


def memory(served: Served) -> int:
    """Bytes of a server's memory."""
    return int(Path(f"/proc/{served.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def life(served: Served) -> None:
    """A container is made, started, executed in now and then, waited for and removed."""
    name = served.made(Cmd=["true"])
    assert served("POST", f"/containers/{name}/start").status == 204
    assert served("POST", f"/containers/{name}/wait").json()["StatusCode"] == 0
    assert served("GET", f"/containers/{name}/logs?stdout=1").status == 200
    assert served("DELETE", f"/containers/{name}").status == 204


def lives(served: Served, count: int) -> None:
    """So many, four at a time."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(count // 4):
                life(served)
        except BaseException as error:  # noqa: BLE001 - told by who waits
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures, failures


def test_a_server_is_as_large_after_ten_thousand_lives_as_after_some(served: Served) -> None:
    assert memory(served) < 60 * _MIB
    lives(served, 2500)  # what is kept of the last ones has its full size then
    before, files = memory(served), served.descriptors()
    lives(served, int(7500 * _TIMES))
    assert memory(served) - before < 2 * _MIB, (before, memory(served))
    assert served.descriptors() <= files


@pytest.mark.parametrize("kind", ["events", "logs", "attached"])
def test_a_thousand_clients_that_wait_take_little_and_all_hear(served: Served, kind: str) -> None:
    name = served.made(Cmd=["sh", "-c", "read line; echo heard; exec sleep 1000"], OpenStdin=True)
    assert served("POST", f"/containers/{name}/start").status == 204
    served("GET", "/events?since=1&until=2")
    before, files = memory(served), served.descriptors()
    clients: list[socket.socket] = []
    asked = {
        "events": request("/events?until=4102444800", method="GET"),
        "logs": request(f"/containers/{name}/logs?stdout=1&follow=1", method="GET"),
        "attached": request(f"/containers/{name}/attach?stream=1&stdout=1"),
    }[kind]
    try:
        for _ in range(1000):
            client = served.connect()
            clients.append(client)
            client.sendall(asked)
            assert b"200 OK" in head_of(client)[0].encode()
        taken = memory(served) - before
        assert taken < 40 * _MIB, taken
        assert served.descriptors() - files <= 4000
        busy = _processor_time(served)
        threading.Event().wait(5)
        assert _processor_time(served) - busy < 0.5
        if kind == "events":
            assert served("POST", "/volumes/create", {"Name": "heard"}).status == 201
        else:
            _type(served, name)
        for client in clients:
            data = b""
            while b"heard" not in data:
                data += client.recv(4096)
    finally:
        for client in clients:
            client.close()
        served("DELETE", "/volumes/heard")
    wait_until(lambda: served.descriptors() <= files, "no files more than before")


def _type(served: Served, name: str) -> None:
    with served.connect() as client:
        client.sendall(request(f"/containers/{name}/attach?stream=1&stdin=1") + b"line\n")
        head_of(client)


def _processor_time(served: Served) -> float:
    fields = Path(f"/proc/{served.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("seed", range(4))
def test_clients_that_do_anything_for_long_leave_nothing(served: Served, seed: int) -> None:
    siege = Siege(served)
    siege.run(15 * _TIMES, seed)
    assert json.loads(served("GET", "/containers/json").body)
