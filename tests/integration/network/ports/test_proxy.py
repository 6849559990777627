"""The proxy, with programs on the loopback in the place of containers."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest

from orlop.network.names.loop import Loop
from orlop.network.place import Place
from orlop.network.ports import claims, datagrams, specification
from orlop.network.ports.proxy import Proxy
from orlop.network.ports.published import InForce, Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orlop.network.ports.published import Published

CONTAINER = "c" * 64
KEY = 1
LONG = 30.0


class Container:
    """Programs at a port of 127.0.0.1, as if that were a container's address."""

    def __init__(self) -> None:
        self.tcp = socket.socket()
        self.tcp.bind(("127.0.0.1", 0))
        self.tcp.listen(64)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.tcp.getsockname()[1]))
        for each in (self.tcp, self.udp):
            each.settimeout(LONG)
        self.port = self.tcp.getsockname()[1]

    def accept(self) -> socket.socket:
        client, _ = self.tcp.accept()
        client.settimeout(LONG)
        return client


class Served:
    """A proxy in a process of its own, which serves one container's ports."""

    def __init__(self, directory: Path, container: Container) -> None:
        self.place = Place(str(directory / "root"), str(directory / "run"), rootless=False)
        self.container = container
        self.pid = 0
        self.ports: list[Published] = []
        self._held = -1

    def start(self, *texts: str, files: int = 0) -> list[int]:
        """Serve what these publish; the numbers of the host's ports."""
        held = claims.Claims()
        self.ports = held.add(specification.bindings(texts))
        InForce(held.published, {socket.AF_INET: Target("127.0.0.1", "")}).write(self.place, CONTAINER)
        self._held, watched = held.pack(self.ports)
        os.close(watched)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                if files:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
                loop = Loop()
                Proxy(loop).serve(KEY, self.place, CONTAINER, self._held)
                loop.run()
            finally:
                os._exit(1)
        return [each.number for each in self.ports]

    def end(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self._held)


@pytest.fixture
def container() -> Iterator[Container]:
    made = Container()
    yield made
    made.tcp.close()
    made.udp.close()


@pytest.fixture
def served(tmp_path: Path, container: Container) -> Iterator[Served]:
    made = Served(tmp_path, container)
    yield made
    made.end()


def connect(address: str, port: int) -> socket.socket:
    return socket.create_connection((address, port), timeout=LONG)


def is_refused(address: str, port: int) -> bool:
    try:
        with connect(address, port) as client:
            client.recv(1)
    except ConnectionResetError:  # while we connect already, or when we read
        return True
    return False


def times_of(pid: int) -> int:
    """What a process has used of the processor, in ticks."""
    with open(f"/proc/{pid}/stat") as file:
        words = file.read().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def read_all(source: socket.socket) -> bytes:
    return b"".join(iter(lambda: source.recv(1 << 16), b""))


@pytest.mark.parametrize("address", ["::1", "127.0.0.1"])
def test_bytes_go_both_ways_and_each_ends_by_itself(served: Served, container: Container, address: str) -> None:
    [port] = served.start(f"{container.port}")
    with connect(address, port) as client, container.accept() as server:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b"question"
        server.sendall(b"answer")
        server.close()
        assert read_all(client) == b"answer"


def test_a_reader_that_is_slow_holds_the_writer_back_and_gets_everything(served: Served, container: Container) -> None:
    [port] = served.start(f"{container.port}")
    much = os.urandom(1 << 16) * 512  # 32 MiB, more than all buffers on the way
    with connect("::1", port) as client, container.accept() as server:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        server.setblocking(False)
        sent = 0
        while sent < len(much) and select.select([], [server], [], 0.3)[1]:
            sent += server.send(much[sent : sent + (1 << 20)])
        assert 0 < sent < len(much)
        server.setblocking(True)

        def send_rest() -> None:
            server.sendall(much[sent:])
            server.shutdown(socket.SHUT_WR)

        rest = threading.Thread(target=send_rest)
        rest.start()
        assert read_all(client) == much
        rest.join()


def test_what_a_client_has_said_before_it_went_comes_to_a_server_that_is_slow(
    served: Served, container: Container
) -> None:
    [port] = served.start(f"{container.port}")
    much = os.urandom(1 << 16) * 64  # 4 MiB
    with connect("::1", port) as client, container.accept() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        server.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""

        def say() -> None:
            client.sendall(much)
            client.close()

        saying = threading.Thread(target=say)
        saying.start()
        time.sleep(0.2)  # so that the buffers are full, and the client's end waits behind them
        begun = times_of(served.pid)
        time.sleep(0.2)
        assert times_of(served.pid) - begun < 10  # ticks: the proxy waits, and does not spin
        assert read_all(server) == much
        saying.join()


def test_a_connection_that_is_broken_off_is_so_on_the_other_side(served: Served, container: Container) -> None:
    [port] = served.start(f"{container.port}")
    with connect("::1", port) as client, container.accept() as server:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        with pytest.raises(ConnectionResetError):
            server.recv(1)


def test_a_container_that_does_not_listen_refuses(served: Served, container: Container) -> None:
    container.tcp.close()
    [port] = served.start(f"{container.port}")
    assert is_refused("::1", port)


def test_only_hosts_that_may_come_are_let_in(served: Served, container: Container) -> None:
    closed, opened = served.start(f"{container.port},from=fd00::/8,from=10.0.0.0/8", f"{container.port},from=::1/128")
    for address in ("::1", "127.0.0.1"):
        assert is_refused(address, closed)
    with connect("::1", opened) as client, container.accept():
        client.sendall(b"x")


def test_datagrams_of_several_clients_are_kept_apart(served: Served, container: Container) -> None:
    [port] = served.start(f"{container.port}/udp")
    clients = []
    for number, family in enumerate((socket.AF_INET6, socket.AF_INET, socket.AF_INET6)):
        client = socket.socket(family, socket.SOCK_DGRAM)
        client.settimeout(LONG)
        client.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
        client.send(b"hello %d" % number)
        clients.append(client)
    peers = {}
    for _ in clients:
        data, peer = container.udp.recvfrom(100)
        peers[data] = peer
    for number in (2, 0, 1):
        container.udp.sendto(b"answer %d" % number, peers[b"hello %d" % number])
    for number, client in enumerate(clients):
        assert client.recv(100) == b"answer %d" % number
        client.close()


def test_an_answer_comes_from_the_address_that_was_asked(served: Served, container: Container) -> None:
    [port] = served.start(f"{container.port}/udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(LONG)
        client.sendto(b"?", ("127.0.0.7", port))
        _, peer = container.udp.recvfrom(10)
        container.udp.sendto(b"!", peer)
        assert client.recvfrom(10) == (b"!", ("127.0.0.7", port))


def test_sessions_end_when_nothing_is_said_any_more(
    served: Served, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagrams, "IDLE", 0.05)
    [port] = served.start(f"{container.port}/udp")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.connect(("::1", port))
        client.send(b"1")
        _, first = container.udp.recvfrom(10)
        peers = {first}
        while peers == {first}:
            time.sleep(0.1)
            client.send(b"2")
            peers.add(container.udp.recvfrom(10)[1])


def test_of_too_many_sessions_the_quietest_one_ends(
    served: Served, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagrams, "MOST", 4)
    [port] = served.start(f"{container.port}/udp")
    clients = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(5)]

    def say(number: int) -> tuple[str, int]:
        clients[number].sendto(b"%d" % number, ("::1", port))
        peer: tuple[str, int] = container.udp.recvfrom(10)[1]
        return peer

    before = [say(number) for number in (0, 1, 2, 3)]
    assert say(0) == before[0]
    say(4)  # in the place of 1, who was quiet for longest
    assert [say(number) for number in (0, 2, 3)] == [before[0], *before[2:]]
    assert say(1) != before[1]
    for each in clients:
        each.close()


def test_more_clients_than_descriptors_do_not_keep_the_proxy_from_going_on(
    served: Served, container: Container
) -> None:
    [port] = served.start(f"{container.port}", files=64)
    crowd = []
    for _ in range(60):
        with contextlib.suppress(ConnectionError):  # who is turned away hears of it at once
            crowd.append(connect("::1", port))
    for each in crowd:
        each.close()
    for number in range(1000):
        with connect("::1", port) as client:
            try:
                client.sendall(b"%4d" % number)
                while select.select([container.tcp], [], [], 0.1)[0]:
                    with container.accept() as server:
                        if server.recv(4) == b"%4d" % number:
                            return
            except ConnectionError:
                continue  # turned away, or one of the crowd
    pytest.fail("nobody was served any more")


def test_many_connections_at_once_are_served_without_mixing_them_up(served: Served, container: Container) -> None:
    [port] = served.start(f"{container.port}")

    def echo() -> None:
        for _ in range(50):
            with container.accept() as server:
                server.sendall(read_all(server))

    thread = threading.Thread(target=echo)
    thread.start()
    clients = [connect("::1", port) for _ in range(50)]
    for number, client in enumerate(clients):
        client.sendall(b"%d" % number * 1000)
        client.shutdown(socket.SHUT_WR)
    for number, client in enumerate(clients):
        assert read_all(client) == b"%d" % number * 1000
        client.close()
    thread.join()
