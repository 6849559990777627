"""Containers that are nothing but a network namespace, and a resolver that serves them.

``network`` makes endpoints' files as the engine does; a ``Box`` is a container that asks. The resolvers of the host are
addresses of the loopback device, of which each test has some of its own.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import select
import socket
import subprocess
from typing import TYPE_CHECKING

import dns.message
import pytest

from orlop import json_text
from orlop.engine import name_keeper, resolver
from orlop.engine.location import Location
from orlop.linux import namespace
from orlop.network import endpoint
from orlop.network.names import sockets, upstream
from orlop.network.record import BRIDGE, Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_numbers = itertools.count(1)
#: How long anything may take on a busy machine, in seconds.
PATIENCE = 30.0


class Box:
    """A container: a network namespace with a loopback device, two sockets of the resolver's, and who looks after it."""

    def __init__(self, location: Location, *, servers: list[str] | None = None) -> None:
        self.id = os.urandom(32).hex()
        self.process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 1000"], stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"up\n"
        self.namespace = os.open(f"/proc/{self.process.pid}/ns/net", os.O_RDONLY)
        self.ends: tuple[int, ...] = sockets.open_in(self.namespace)
        told = {
            "root": location.root,
            "run_root": location.run_root,
            "rootless": location.rootless,
            "id": self.id,
            "dns": servers,
        }
        self.summons = name_keeper.Keeper(json_text.dumps(told).encode(), self.ends)

    def serve(self) -> None:
        """What a monitor does when something was asked: have the resolver come, if it is not there."""
        while not self.summons.has_called:
            poll = select.poll()
            due = self.summons.register(poll)
            ready = {each for each, _ in poll.poll(PATIENCE * 1000 if due is None else due)}
            assert ready or due is not None, "nothing was asked"
            self.summons.look(ready)

    def connect(
        self, kind: socket.SocketKind = socket.SOCK_DGRAM, to: tuple[str, int] = ("127.0.0.11", 53)
    ) -> socket.socket:
        """A program's socket in the container, connected to where it is told to ask."""
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        namespace.join(self.namespace, namespace.CLONE_NEWNET)
        try:
            made = socket.socket(socket.AF_INET, kind)
            made.settimeout(PATIENCE)
            made.connect(to)
        finally:
            namespace.join(own, namespace.CLONE_NEWNET)
            os.close(own)
        return made

    def ask(self, name: str, kind: str = "A") -> dns.message.Message:
        """Ask by UDP, and wait for the answer."""
        query = dns.message.make_query(name, kind)
        with self.connect() as asking:
            asking.send(query.to_wire())
            return self.answer(asking, query)

    def answer(self, asking: socket.socket, query: dns.message.Message) -> dns.message.Message:
        """The answer to a question that was sent by UDP."""
        self.wait(asking)
        answer = dns.message.from_wire(asking.recv(65535), raise_on_truncation=False)
        assert query.is_response(answer)
        return answer

    def wait(self, asking: socket.socket) -> None:
        """Look after the container until ``asking`` has something to read."""
        while True:
            poll = select.poll()
            poll.register(asking, select.POLLIN)
            due = self.summons.register(poll)
            ready = {each for each, _ in poll.poll(PATIENCE * 1000 if due is None else due)}
            assert ready or due is not None, "there is no answer"
            self.summons.look(ready)
            if asking.fileno() in ready:
                return

    def texts(self, name: str, kind: str = "A") -> list[str]:
        """The records of an answer."""
        return [each.to_text() for rrset in self.ask(name, kind).answer for each in rrset]

    def run(self, *command: str) -> str:
        """The output of a program in the container; the resolver has been summoned before."""
        done = subprocess.run(
            ["nsenter", f"--net=/proc/{self.process.pid}/ns/net", *command],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return done.stdout

    def let_go(self) -> None:
        """What a monitor does when the container's program has ended."""
        if self.ends:
            self.summons.close()
        self.ends = ()

    def close(self) -> None:
        """End the container."""
        self.let_go()
        os.close(self.namespace)
        self.process.kill()
        self.process.communicate()


class Networks:
    """One engine's networks, as files."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.place = location.networks
        os.makedirs(self.place.directory)
        os.makedirs(self.place.run_directory)

    def make(self, name: str, *, internal: bool = False) -> str:
        """A network; its id."""
        network = Network(os.urandom(32).hex(), name, BRIDGE)
        network.internal = internal
        os.makedirs(os.path.dirname(self.place.record(network.id)))
        with open(self.place.record(network.id), "w", encoding="utf-8") as file:
            json.dump(network.fields(), file)
        os.makedirs(self.place.endpoints(network.id))
        return network.id

    def connect(self, network: str, container: str, name: str, ipv4: str = "", ipv6: str = "", **more: object) -> None:
        """Write down that a container is on a network."""
        made = endpoint.Endpoint(
            network, container, os.urandom(32).hex(), container_name=name, ipv4=ipv4, ipv6=ipv6, **more
        )
        made.write(self.place)

    def disconnect(self, network: str, container: str) -> None:
        """Take it off again."""
        os.unlink(f"{self.place.endpoints(network)}/{container}")


@pytest.fixture
def networks(tmp_path: Path) -> Networks:
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces are made for real")
    return Networks(Location(str(tmp_path / "root"), str(tmp_path / "run"), rootless=False))


@pytest.fixture
def box(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Box]]:
    """Make containers: ``box(servers=[...])``."""
    monkeypatch.setattr(resolver, "_REST", 0.01)
    made: list[Box] = []

    def make(**options: list[str]) -> Box:
        made.append(Box(networks.location, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
    _wait_for_end(networks.location.run_root)


def _wait_for_end(run_root: str) -> None:
    """Wait until the resolver is gone: it holds a lock for as long as it lives."""
    with open(f"{run_root}/{name_keeper.RESOLVER}.lock", "ab") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)


class Server:
    """A resolver of the host's, played by the test: by UDP and TCP at an address of the loopback device."""

    def __init__(self) -> None:
        number = next(_numbers)
        self.address = f"127.{53 + os.getpid() % 100}.{os.getpid() // 100 % 250}.{number}"
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.address, 53))
        self.udp.settimeout(PATIENCE)
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((self.address, 53))
        self.tcp.listen()
        self.tcp.settimeout(PATIENCE)

    def take(self) -> tuple[dns.message.Message, tuple[str, int]]:
        """The next question by UDP, and where it came from."""
        wire, source = self.udp.recvfrom(65535)
        return dns.message.from_wire(wire), source

    def close(self) -> None:
        """Be there no more."""
        self.udp.close()
        self.tcp.close()


@pytest.fixture
def server() -> Iterator[Callable[[], Server]]:
    made: list[Server] = []

    def make() -> Server:
        made.append(Server())
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def host_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the resolver, a child of this process, takes for the host's /etc/resolv.conf."""
    path = tmp_path / "resolv.conf"
    monkeypatch.setattr(upstream, "HOST_FILE", str(path))
    return path
