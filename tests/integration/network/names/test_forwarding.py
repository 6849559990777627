"""What no container has the answer to is asked of the host's resolvers, which a test plays."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from orlop.linux import namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.network.names.conftest import Box, Networks, Server


@pytest.fixture
def asker(networks: Networks, box: Callable[..., Box]) -> Box:
    made = box()
    networks.connect(networks.make("net"), made.id, "asker", "10.1.0.2/24")
    return made


def told(query: dns.message.Message, *addresses: str, code: dns.rcode.Rcode = dns.rcode.NOERROR) -> bytes:
    """A server's answer."""
    answer = dns.message.make_response(query)
    answer.set_rcode(code)
    if addresses:
        answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", *addresses))
    return answer.to_wire(max_size=65535)


def addresses_in(answer: dns.message.Message) -> set[str]:
    return {each.to_text() for rrset in answer.answer for each in rrset}


class Question:
    """A question on its way: sent, and served by the resolver until the server has it."""

    def __init__(self, asker: Box, name: str, kind: str = "A", **options: int) -> None:
        self._asker = asker
        self.query = dns.message.make_query(name, kind)
        if options:
            self.query.use_edns(0, payload=options["payload"])
        self._socket = asker.connect()
        self._socket.send(self.query.to_wire())
        asker.serve()

    def answer(self) -> dns.message.Message:
        try:
            return self._asker.answer(self._socket, self.query)
        finally:
            self._socket.close()

    def close(self) -> None:
        self._socket.close()


def test_a_question_is_passed_on_and_its_answer_back(asker: Box, server: Callable[[], Server], host_file: Path) -> None:
    outside = server()
    host_file.write_text(f"nameserver {outside.address}\n")
    ports, numbers = set(), set()
    for number in range(8):
        question = Question(asker, f"Host{number}.Example.org")
        query, source = outside.take()
        assert query.question[0].name.to_text() == f"Host{number}.Example.org."
        ports.add(source[1])
        numbers.add(query.id)
        outside.udp.sendto(told(query, f"192.0.2.{number}"), source)
        assert addresses_in(question.answer()) == {f"192.0.2.{number}"}
    assert len(ports) > 4  # each from a port and with an id that nobody can guess
    assert len(numbers) > 4


def test_the_host_s_file_is_followed_when_it_changes(asker: Box, server: Callable[[], Server], host_file: Path) -> None:
    for number in range(3):
        outside = server()
        aside = host_file.with_suffix(".new")
        aside.write_text(f"# another\nnameserver {outside.address}\n")
        aside.rename(host_file)
        question = Question(asker, "example.org")
        query, source = outside.take()
        outside.udp.sendto(told(query, f"192.0.2.{number}"), source)
        assert addresses_in(question.answer()) == {f"192.0.2.{number}"}


def test_a_server_that_is_silent_is_passed_over_and_asked_last_from_then_on(
    asker: Box, server: Callable[[], Server], host_file: Path
) -> None:
    silent, outside = server(), server()
    host_file.write_text(f"nameserver {silent.address}\nnameserver {outside.address}\noptions timeout:1 attempts:1\n")
    for _ in range(2):
        question = Question(asker, "example.org")
        query, source = outside.take()
        outside.udp.sendto(told(query, "192.0.2.1"), source)
        assert addresses_in(question.answer()) == {"192.0.2.1"}
    silent.take()
    silent.udp.setblocking(False)
    with pytest.raises(BlockingIOError):
        silent.take()


def test_nobody_at_an_address_and_an_address_that_is_none_are_passed_over_at_once(
    asker: Box, server: Callable[[], Server], host_file: Path
) -> None:
    gone, outside = server(), server()
    gone.close()
    host_file.write_text(f"nameserver {gone.address}\nnameserver x%lo\nnameserver {outside.address}\n")
    question = Question(asker, "example.org")
    query, source = outside.take()
    outside.udp.sendto(told(query, "192.0.2.1"), source)
    assert addresses_in(question.answer()) == {"192.0.2.1"}


def test_a_server_that_cannot_help_is_not_the_last_word(
    asker: Box, server: Callable[[], Server], host_file: Path
) -> None:
    first, second = server(), server()
    host_file.write_text(f"nameserver {first.address}\nnameserver {second.address}\n")
    for code, expected in ((dns.rcode.NXDOMAIN, dns.rcode.NXDOMAIN), (dns.rcode.REFUSED, dns.rcode.REFUSED)):
        question = Question(asker, "example.org")
        query, source = first.take()
        first.udp.sendto(told(query, code=dns.rcode.SERVFAIL), source)
        query, source = second.take()
        second.udp.sendto(told(query, code=code), source)
        assert question.answer().rcode() == expected


def test_without_anybody_to_ask_it_is_told_at_once(asker: Box, server: Callable[[], Server], host_file: Path) -> None:
    gone = server()
    gone.close()
    host_file.write_text(f"nameserver {gone.address}\n")
    assert asker.ask("example.org").rcode() == dns.rcode.SERVFAIL


def test_only_the_answer_to_the_question_counts(asker: Box, server: Callable[[], Server], host_file: Path) -> None:
    outside, stranger = server(), server()
    host_file.write_text(f"nameserver {outside.address}\n")
    question = Question(asker, "example.org")
    query, source = outside.take()
    stranger.udp.sendto(told(query, "6.6.6.6"), source)
    other = dns.message.make_query("example.com", "A", id=query.id)
    wrong = dns.message.make_query("example.org", "A", id=query.id ^ 1)
    for each in (told(other, "6.6.6.6"), told(wrong, "6.6.6.6"), query.to_wire(), b"", b"\0" * 11):
        outside.udp.sendto(each, source)
    outside.udp.sendto(told(query, "192.0.2.1"), source)
    assert addresses_in(question.answer()) == {"192.0.2.1"}


def test_what_does_not_fit_is_asked_again_by_tcp(asker: Box, server: Callable[[], Server], host_file: Path) -> None:
    outside = server()
    host_file.write_text(f"nameserver {outside.address}\n")
    many = [f"192.0.2.{number}" for number in range(200)]
    question = Question(asker, "example.org")
    query, source = outside.take()
    truncated = dns.message.from_wire(told(query))
    truncated.flags |= dns.flags.TC
    outside.udp.sendto(truncated.to_wire(), source)
    assert question.answer().flags & dns.flags.TC
    with asker.connect(socket.SOCK_STREAM) as asking:
        wire = question.query.to_wire()
        asking.sendall(struct.pack(">H", len(wire)) + wire)
        asker.serve()
        taken, _ = outside.tcp.accept()
        with taken:
            (length,) = struct.unpack(">H", _exactly(taken, 2))
            answer = told(dns.message.from_wire(_exactly(taken, length)), *many)
            taken.sendall(struct.pack(">H", len(answer)) + answer[:100])
            taken.sendall(answer[100:])
            (length,) = struct.unpack(">H", _exactly(asking, 2))
            assert length > 2000
            found = dns.message.from_wire(_exactly(asking, length))
    assert addresses_in(found) == set(many)
    assert found.id == question.query.id


@pytest.mark.parametrize(("payload", "fits"), [(0, False), (1232, False), (4096, True)])
def test_an_answer_is_no_larger_than_who_asked_can_take(
    asker: Box, server: Callable[[], Server], host_file: Path, payload: int, fits: bool
) -> None:
    outside = server()
    host_file.write_text(f"nameserver {outside.address}\n")
    question = Question(asker, "example.org", payload=payload) if payload else Question(asker, "example.org")
    query, source = outside.take()
    outside.udp.sendto(told(query, *(f"192.0.2.{number}" for number in range(100))), source)
    answer = question.answer()
    assert bool(answer.flags & dns.flags.TC) is not fits
    assert len(addresses_in(answer)) == (100 if fits else 0)


def test_of_containers_as_well_there_may_be_more_than_fit(networks: Networks, asker: Box) -> None:
    net = networks.make("many")
    networks.connect(net, asker.id, "asker", "10.2.0.2/16")
    for number in range(1, 101):
        networks.connect(net, f"{number:064x}", f"c{number}", f"10.2.1.{number}/16", aliases=["all"])
    answer = asker.ask("all")
    assert answer.flags & dns.flags.TC
    assert len(asker.run("dig", "@127.0.0.11", "+short", "all").split()) == 100  # which asks again by TCP


def test_a_network_that_is_internal_asks_nobody_outside(
    networks: Networks, box: Callable[..., Box], server: Callable[[], Server], host_file: Path
) -> None:
    outside = server()
    host_file.write_text(f"nameserver {outside.address}\n")
    shut_in = box()
    net = networks.make("net", internal=True)
    networks.connect(net, shut_in.id, "shut-in", "10.1.0.2/24")
    for kind in ("A", "AAAA", "PTR", "MX", "ANY"):
        assert shut_in.ask("example.org", kind).rcode() == dns.rcode.NXDOMAIN
    outside.udp.setblocking(False)
    with pytest.raises(BlockingIOError):
        outside.take()
    networks.connect(networks.make("open"), shut_in.id, "shut-in", "10.2.0.2/24")
    question = Question(shut_in, "example.org")
    outside.udp.setblocking(True)
    query, source = outside.take()
    outside.udp.sendto(told(query, "192.0.2.1"), source)
    assert addresses_in(question.answer()) == {"192.0.2.1"}


def test_a_container_s_own_resolvers_are_asked_from_where_it_is(
    networks: Networks, box: Callable[..., Box], server: Callable[[], Server], host_file: Path
) -> None:
    outside = server()
    host_file.write_text(f"nameserver {outside.address}\n")
    asker = box(servers=["127.0.0.1"])
    networks.connect(networks.make("net"), asker.id, "asker", "10.1.0.2/24")
    inside = _socket_in(asker, ("127.0.0.1", 53))
    with inside:
        question = Question(asker, "example.org")
        wire, source = inside.recvfrom(65535)
        inside.sendto(told(dns.message.from_wire(wire), "192.0.2.7"), source)
        assert addresses_in(question.answer()) == {"192.0.2.7"}
    outside.udp.setblocking(False)
    with pytest.raises(BlockingIOError):
        outside.take()


def test_a_question_that_comes_around_a_corner_again_is_not_passed_on_again(
    asker: Box, server: Callable[[], Server], host_file: Path
) -> None:
    outside = server()  # a resolver that asks the container, which asks it
    host_file.write_text(f"nameserver {outside.address}\noptions timeout:1 attempts:1\n")
    question = Question(asker, "example.org")
    with asker.connect() as corner:
        passed_on = 0
        outside.udp.settimeout(1.3)
        try:
            while True:
                query, _ = outside.take()
                passed_on += 1
                for _ in range(50):
                    corner.send(query.to_wire())
        except TimeoutError:
            pass
    assert question.answer().rcode() == dns.rcode.SERVFAIL
    assert passed_on <= 2


def test_the_same_question_of_many_is_asked_once(asker: Box, server: Callable[[], Server], host_file: Path) -> None:
    outside = server()
    host_file.write_text(f"nameserver {outside.address}\n")
    questions = [Question(asker, "example.org") for _ in range(20)]
    query, source = outside.take()
    assert asker.texts("asker") == ["10.1.0.2"]  # by now all of them have been read
    outside.udp.sendto(told(query, "192.0.2.1"), source)
    assert all(addresses_in(each.answer()) == {"192.0.2.1"} for each in questions)
    outside.udp.setblocking(False)
    with pytest.raises(BlockingIOError):
        outside.take()


def _exactly(stream: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = stream.recv(length - len(data))
        assert more
        data += more
    return data


def _socket_in(asker: Box, address: tuple[str, int]) -> socket.socket:
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    namespace.join(asker.namespace, namespace.CLONE_NEWNET)
    try:
        made = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(address)
    finally:
        namespace.join(own, namespace.CLONE_NEWNET)
        os.close(own)
    made.settimeout(30)
    return made


def test_servers_have_addresses_of_either_version(networks: Networks, box: Callable[..., Box]) -> None:
    asker = box(servers=["fe80::1%none", "::1"])
    networks.connect(networks.make("net"), asker.id, "asker", "10.1.0.2/24")
    with _socket_in(asker, ("::1", 53)) as inside:
        question = Question(asker, "example.org")
        wire, source = inside.recvfrom(65535)
        inside.sendto(told(dns.message.from_wire(wire), "192.0.2.6"), source)
        assert addresses_in(question.answer()) == {"192.0.2.6"}


def test_an_ordinary_user_s_container_reaches_the_outside_by_other_means(
    networks: Networks, box: Callable[..., Box], server: Callable[[], Server], host_file: Path
) -> None:
    outside = server()
    host_file.write_text(f"nameserver {outside.address}\n")
    nowhere = box()
    assert nowhere.ask("example.org").rcode() == dns.rcode.NXDOMAIN  # on no network nobody is asked
    networks.location.rootless = True
    asker = box()
    own = Path(networks.location.run_root) / "user-networks" / asker.id  # as its program's pid is noted
    own.parent.mkdir()
    own.touch()
    question = Question(asker, "example.org")
    query, source = outside.take()
    outside.udp.sendto(told(query, "192.0.2.1"), source)
    assert addresses_in(question.answer()) == {"192.0.2.1"}
