"""Clients that do to a server what clients should not: they vanish at any point, flood, and ask for what is over."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.api.test_protocol import UPGRADE, request
from tests.integration.api.test_websocket import HANDSHAKE
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.api.served import Served


class Siege:
    """What clients do to containers of three kinds: one that reads, one that does not, and one that never runs."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.deeds = 0
        reads = ["sh", "-c", "trap '' INT QUIT TSTP; while :; do cat; sleep 0.05; done"]
        self.reader = served.made(Cmd=reads, OpenStdin=True)
        self.terminal = served.made(Cmd=reads, OpenStdin=True, Tty=True)
        self.deaf = served.made(Cmd=["sh", "-c", "while :; do echo said; sleep 0.2; done"], OpenStdin=True)
        self.never = served.made(Cmd=["true"], OpenStdin=True)
        for each in (self.reader, self.terminal, self.deaf):
            assert served("POST", f"/containers/{each}/start").status == 204

    def children(self) -> set[int]:
        """The processes that the server has started and that are there, dead or alive."""
        return {
            int(each) for each in Path(f"/proc/{self.served.pid}/task/{self.served.pid}/children").read_text().split()
        }

    def commands(self) -> list[str]:
        """The commands in containers, whose clients all have gone, that somebody still looks after."""
        known = (self.reader, self.terminal, self.deaf, self.never)
        return [each for each in os.listdir(self.served.engine.run_root / "control") if each not in known]

    def run(self, seconds: float, seed: int = 0, at_once: int = 8) -> None:
        """Besiege the server; at the end it has nothing open and nobody running that it had not before."""
        self.served("GET", "/events?since=1&until=2")  # after which it watches what it watches
        before = self.served.descriptors()
        failures: list[BaseException] = []
        end = time.monotonic() + seconds

        def attack(number: int) -> None:
            chance = random.Random(f"{seed}.{number}")
            try:
                while time.monotonic() < end and not failures:
                    self.deed(chance)
            except BaseException as error:  # noqa: BLE001 - told by who waits
                failures.append(error)

        threads = [threading.Thread(target=attack, args=(number,)) for number in range(at_once)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert not failures, failures
        assert self.served("GET", "/_ping").status == 200
        wait_until(lambda: self.served.descriptors() <= before, f"no more than {before} descriptors")
        wait_until(lambda: not self.children(), "no processes")
        wait_until(lambda: not self.commands(), "the end of all commands")
        for name in (self.reader, self.terminal, self.deaf):
            assert self.served("GET", f"/containers/{name}/json").json()["State"]["Running"]

    def deed(self, chance: random.Random) -> None:
        """Do something."""
        self.deeds += 1
        deeds: list[Callable[[random.Random], None]] = [
            self.attach,
            self.attach,
            self.attach_by_websocket,
            self.execute,
            self.execute,
            self.look,
            self.break_off,
            self.resize,
        ]
        chance.choice(deeds)(chance)

    def attach(self, chance: random.Random) -> None:
        name = chance.choice((self.reader, self.terminal, self.deaf, self.never))
        path = f"/containers/{name}/attach?stream=1&stdout=1&stdin={chance.randrange(2)}&logs={chance.randrange(2)}"
        self.torment(request(path, chance.choice((UPGRADE, None))), chance)

    def attach_by_websocket(self, chance: random.Random) -> None:
        name = chance.choice((self.reader, self.terminal, self.deaf, self.never))
        self.torment(HANDSHAKE % name.encode(), chance)

    def execute(self, chance: random.Random) -> None:
        command = chance.choice((["cat"], ["true"], ["nosuch"], ["sh", "-c", "yes | head -c 300000"]))
        wanted = {
            "Cmd": command,
            "AttachStdin": chance.randrange(2) == 1 or command == ["cat"],
            "AttachStdout": True,
            "Tty": command != ["cat"] and chance.randrange(2) == 1,
        }
        made = self.served("POST", f"/containers/{self.reader}/exec", wanted)
        assert made.status == 201, made
        body = json.dumps({"Detach": chance.randrange(4) == 0 and command != ["cat"]}).encode()
        headers = {"Content-Type": "application/json", **chance.choice((UPGRADE, {}))}
        self.torment(request(f"/exec/{made.json()['Id']}/start", headers, body=body), chance)
        assert self.served("POST", f"/exec/{made.json()['Id']}/resize?h=1&w=1").status in (200, 400, 404, 409)
        assert self.served("GET", f"/exec/{made.json()['Id']}/json").status in (200, 404)

    def look(self, chance: random.Random) -> None:
        name = chance.choice((self.deaf, self.never))
        path = chance.choice(
            (
                f"/containers/{name}/logs?stdout=1&follow=1",
                "/events",
                f"/containers/{name}/stats",
                f"/containers/{name}/export",
                "/images/plain/get",
                "/metrics",
            )
        )
        self.torment(request(path, method=chance.choice(("GET", "HEAD"))), chance)

    def break_off(self, chance: random.Random) -> None:
        whole = request("/build?networkmode=none", body=os.urandom(3000)) + request("/containers/create", body=b"{}")
        self.torment(whole[: chance.randrange(len(whole))], chance)

    def resize(self, chance: random.Random) -> None:
        name = chance.choice((self.reader, self.terminal, self.never))
        rows = chance.choice(("0", "-1", "70000", str(1 << 70), "x", ""))
        assert self.served("POST", f"/containers/{name}/resize?h={rows}&w=80").status in (200, 400, 409)

    def torment(self, sent: bytes, chance: random.Random) -> None:
        """Send something, and more or less of what should follow, and go in one way or another."""
        with self.served.connect() as client:
            try:
                client.settimeout(0.3)
                client.sendall(sent)
                if chance.randrange(3):
                    client.recv(chance.choice((1, 4096)))
                client.settimeout(chance.choice((0.001, 0.01)))
                for _ in range(chance.randrange(4)):
                    client.send(os.urandom(chance.choice((1, 100, 1 << 18))))
                if chance.randrange(3) == 0:
                    client.shutdown(socket.SHUT_WR)
                if chance.randrange(2):
                    client.recv(65536)
                if chance.randrange(4) == 0:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            except (TimeoutError, ConnectionError):
                pass
