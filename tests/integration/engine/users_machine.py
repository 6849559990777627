"""A machine of its own with an ordinary user's engine on it, and a neighbour."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.ordinary_user import make_engine
from tests.machine import Machine, cable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine

HOST, PEER = "198.51.100.1", "198.51.100.2"
SERVER = """
import select, socket
tcp = socket.create_server(("0.0.0.0", 80))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", 53))
print("ready", flush=True)
while True:
    ready, _, _ = select.select([tcp, udp], [], [])
    if tcp in ready:
        client, _ = tcp.accept()
        client.recv(1)  # what is unread would make a reset of the end
        client.sendall(b"tcp")
        client.close()
    if udp in ready:
        udp.sendto(b"udp", udp.recvfrom(100)[1])
"""
ASK = """
import socket, sys
kind, address, port = sys.argv[1:]
client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                       socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
client.settimeout(20)
try:
    client.connect((address, int(port)))
    client.send(b"?")
    print(client.recv(100).decode())
except OSError as error:
    print(type(error).__name__)
"""


class UsersMachine:
    """A machine with an ordinary user's engine, and a neighbour at which somebody listens."""

    def __init__(self, engine: Engine, machine: Machine, peer: Machine) -> None:
        self.engine = engine
        self.machine = machine
        self.peer = peer

    def ask(self, there: Machine, address: str, port: int, kind: str = "tcp") -> str:
        return there.run(sys.executable, "-IS", "-c", ASK, kind, address, str(port)).strip()

    def serve(self, *options: str) -> None:
        self.engine.ok("run", "-d", "--name", "web", *options, "host", "python3", "-IS", "-c", SERVER)
        wait_until(lambda: "ready" in self.engine.ok("logs", "web"), "a server")


@contextmanager
def make_users(name: str) -> Iterator[UsersMachine]:
    """The machine, from which a default route leads to the neighbour, and where everybody may make devices."""
    with Machine() as machine, Machine() as peer, make_engine(name, ranges=True) as engine:
        cable(machine, "lan0", f"{HOST}/24", peer, "eth0", f"{PEER}/24")
        machine.run("ip", "route", "add", "default", "via", PEER)
        # The device of which everybody may make devices, as it is where udev sees to it.
        device = "mount -t tmpfs tmpfs /mnt; mknod -m 666 /mnt/tun c 10 200; mount --bind /mnt/tun /dev/net/tun"
        made = ["nsenter", engine.prefix[1], "sh", "-c", device]
        machine.run(*made)
        engine.prefix = (
            "nsenter", engine.prefix[1], f"--net=/proc/{machine.pid}/ns/net", *engine.prefix[2:],
        )  # fmt: skip
        yield UsersMachine(engine, machine, peer)
