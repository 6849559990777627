"""Containers that ask what nobody should: the resolver stays small, and answers the others."""

from __future__ import annotations

import os
import random
import select
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import dns.message
import dns.name
import dns.opcode
import dns.rcode
import pytest

from orlop.network.names.book import Book
from tests.integration.engine.conftest import wait_until
from tests.integration.network.names import processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.network.names.conftest import Box, Networks, Server


@pytest.fixture
def pair(networks: Networks, box: Callable[..., Box]) -> tuple[Box, Box]:
    """A container that is up to no good and one that is not, each on a network of its own."""
    made = box(), box()
    for each, name in zip(made, ("bad", "good"), strict=True):
        networks.connect(networks.make(f"net-{name}"), each.id, name, "10.1.0.2/24")
        assert each.texts(name) == ["10.1.0.2"]
    return made


def _memory(pid: int) -> int:
    """What a process has for itself, in bytes."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Private_Dirty"))


def test_a_flood_of_questions_that_nobody_answers_is_bounded(
    networks: Networks, pair: tuple[Box, Box], server: Callable[[], Server], host_file: Path
) -> None:
    bad, good = pair
    host_file.write_text(f"nameserver {server().address}\n")
    resolver = processes.resolver_of(networks.location.run_root)
    with bad.connect() as asking:
        asking.setblocking(False)
        sizes = []
        for _ in range(10):
            for _ in range(200):
                asking.send(dns.message.make_query(f"{os.urandom(30).hex()}.example.org", "A").to_wire())
            assert good.texts("good") == ["10.1.0.2"]
            assert bad.texts("bad") == ["10.1.0.2"]  # its own too, whatever else it asks
            sizes.append(_memory(resolver))
            assert len(os.listdir(f"/proc/{resolver}/fd")) < 300
    assert max(sizes) - sizes[4] < 2 << 20


def test_a_flood_of_questions_that_are_answered_at_once_lets_others_have_their_turn(pair: tuple[Box, Box]) -> None:
    bad, good = pair
    wire = dns.message.make_query("bad", "A").to_wire()
    with bad.connect() as asking:
        asking.setblocking(False)
        for _ in range(20):
            for _ in range(200):
                try:
                    asking.send(wire)
                except BlockingIOError:
                    break
            assert good.texts("good") == ["10.1.0.2"]


def test_malformed_messages_are_answered_as_such_or_not_at_all(pair: tuple[Box, Box]) -> None:
    bad, good = pair
    right = dns.message.make_query("bad", "A").to_wire()
    body = right[12:]
    header = struct.Struct(">HHHHHH")
    cases: list[tuple[bytes, dns.rcode.Rcode | None]] = [
        (b"", None),
        (right[:11], None),
        (b"\x12\x34\x80\x00" + right[4:], None),  # an answer
        (right[:12], dns.rcode.FORMERR),  # no question, where one is promised
        (header.pack(1, 0x100, 0, 0, 0, 0), dns.rcode.FORMERR),
        (header.pack(1, 0x100, 2, 0, 0, 0) + body + body, dns.rcode.FORMERR),
        (header.pack(1, 0x100, 65535, 0, 0, 0) + body, dns.rcode.FORMERR),
        (header.pack(1, 0x100, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1", dns.rcode.FORMERR),  # a name that is itself
        (header.pack(1, 0x100, 1, 0, 0, 0) + b"\xc0\x00\0\1\0\1", dns.rcode.FORMERR),  # one that is the header
        (header.pack(1, 0x100, 1, 0, 0, 0) + b"\x3f" + b"x" * 10, dns.rcode.FORMERR),
        (header.pack(1, 0x100, 1, 0, 0, 0) + b"\x3f" * 300 + b"\0\0\1\0\1", dns.rcode.FORMERR),
        (header.pack(1, 0x100, 1, 0, 0, 9) + body, dns.rcode.FORMERR),  # records that are not there
        (header.pack(1, 0x2900, 1, 0, 0, 0) + body, dns.rcode.NOTIMP),  # an update
        (header.pack(1, 0x100, 1, 0, 0, 0) + body[:-2] + b"\0\3", dns.rcode.REFUSED),  # of Chaosnet
        (header.pack(1, 0x100, 1, 0, 0, 0) + body[:-4] + b"\0\xfc\0\1", dns.rcode.REFUSED),  # a transfer
    ]
    for wire, code in cases:
        with bad.connect() as asking:
            asking.send(wire)
            if code is not None:
                bad.wait(asking)
                answer = asking.recv(512)
                assert answer[:2] == wire[:2]
                assert answer[2] & 0x80
                assert answer[3] & 15 == code, wire
            asking.send(right)  # what is not answered keeps nobody
            bad.wait(asking)
            assert asking.recv(512)[:2] == right[:2]
    assert good.texts("good") == ["10.1.0.2"]


def test_random_bytes_do_no_harm(networks: Networks, pair: tuple[Box, Box], host_file: Path) -> None:
    bad, good = pair
    resolver = processes.resolver_of(networks.location.run_root)
    chance = random.Random(53)
    right = bytearray(dns.message.make_query("bad.net-bad", "ANY", want_dnssec=True, pad=64).to_wire())
    with bad.connect() as asking:
        for number in range(3000):
            wire = bytearray(right)
            for _ in range(chance.randrange(1, 6)):
                wire[chance.randrange(len(wire))] = chance.randrange(256)
            asking.send(bytes(wire) if number % 3 else chance.randbytes(chance.randrange(600)))
            if number % 100 == 0:
                assert good.texts("good") == ["10.1.0.2"]
    assert processes.resolver_of(networks.location.run_root) == resolver


def test_connections_are_bounded_and_the_idle_ones_make_room(networks: Networks, pair: tuple[Box, Box]) -> None:
    bad, good = pair
    resolver = processes.resolver_of(networks.location.run_root)
    before = len(os.listdir(f"/proc/{resolver}/fd"))
    held = []
    try:
        for number in range(60):
            held.append(bad.connect(socket.SOCK_STREAM))
            held[-1].send(b"\x10" if number % 2 else b"\0\x20half a question")
        assert _by_tcp(good, ["good"]) == ["10.1.0.2"]
        assert _by_tcp(bad, ["bad"]) == ["10.1.0.2"]
        assert len(os.listdir(f"/proc/{resolver}/fd")) <= before + 20
    finally:
        for each in held:
            each.close()


def test_many_questions_on_one_connection_are_answered_in_turn(pair: tuple[Box, Box]) -> None:
    assert _by_tcp(pair[0], ["bad"] * 100) == ["10.1.0.2"] * 100


def test_a_connection_that_sends_too_much_is_closed(pair: tuple[Box, Box]) -> None:
    bad, good = pair
    with bad.connect(socket.SOCK_STREAM) as asking:
        asking.send(b"\xff\xff" + b"x" * 5000)
        try:
            assert asking.recv(10) == b""
        except ConnectionResetError:
            pass
    with bad.connect(socket.SOCK_STREAM) as asking:  # and one that does not read: it waits for itself alone
        wire = dns.message.make_query("bad", "A").to_wire()
        asking.setblocking(False)
        try:
            for _ in range(100_000):
                asking.send(struct.pack(">H", len(wire)) + wire)
        except (BlockingIOError, ConnectionError):
            pass
        assert good.texts("good") == ["10.1.0.2"]


def _by_tcp(asker: Box, names: list[str]) -> list[str]:
    with asker.connect(socket.SOCK_STREAM) as asking:
        for name in names:
            wire = dns.message.make_query(name, "A").to_wire()
            asking.sendall(struct.pack(">H", len(wire)) + wire)
        asker.wait(asking)
        found: list[str] = []
        data = b""
        while len(found) < len(names):
            more = asking.recv(65535)
            assert more
            data += more
            while len(data) > 2 and len(data) >= 2 + int.from_bytes(data[:2], "big"):
                end = 2 + int.from_bytes(data[:2], "big")
                found.append(dns.message.from_wire(data[2:end]).answer[0][0].to_text())
                data = data[end:]
        return found


def test_what_nobody_has_thought_of_fails_for_the_one_who_does_it(
    networks: Networks, box: Callable[..., Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup = Book.addresses

    def stumble(self: Book, container: str, name: str) -> list[str] | None:
        if name == "stumble":
            raise ZeroDivisionError
        return lookup(self, container, name)

    monkeypatch.setattr(Book, "addresses", stumble)
    bad, good = box(), box()
    net = networks.make("net")
    for each, name in ((bad, "bad"), (good, "good")):
        networks.connect(net, each.id, name, "10.1.0.2/24" if name == "bad" else "10.1.0.3/24")
        assert each.texts(name)
    resolver = processes.resolver_of(networks.location.run_root)
    with bad.connect() as asking:
        asking.send(dns.message.make_query("stumble", "A").to_wire())
        assert good.texts("bad") == ["10.1.0.2"]
        wait_until(lambda: good.texts("bad") and not _is_served(bad))
    assert bad.texts("good") == ["10.1.0.3"]  # which comes again
    assert processes.resolver_of(networks.location.run_root) == resolver


def _is_served(asker: Box) -> bool:
    poll = select.poll()
    asker.summons.register(poll)
    asker.summons.look({each for each, _ in poll.poll(0)})
    return asker.summons.has_called
