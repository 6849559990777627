"""Ports of the host that are held: the kernel is the register."""

from __future__ import annotations

import os
import select
import socket
from typing import TYPE_CHECKING

import pytest

from orlop.errors import Conflict, InvalidArgument, NotFound
from orlop.network.ports import claims, specification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.network.ports.published import Published


@pytest.fixture
def held() -> Iterator[claims.Claims]:
    made = claims.Claims()
    yield made
    made.close()


def take(held: claims.Claims, *texts: str) -> list[Published]:
    return held.add(specification.bindings(texts))


def free_port() -> int:
    """One that nobody has just now."""
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::", 0))
        return int(probe.getsockname()[1])


def can_bind(family: int, address: str, port: int, kind: int = socket.SOCK_STREAM) -> bool:
    with socket.socket(family, kind) as other:
        if family == socket.AF_INET6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind((address, port))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_no_program_of_the_host_gets_a_port_that_is_held(held: claims.Claims, protocol: str) -> None:
    [port] = take(held, f"80/{protocol}")
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    for family, address in (
        (socket.AF_INET, "0.0.0.0"), (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::"), (socket.AF_INET6, "::1"),
    ):  # fmt: skip
        if protocol == "tcp":
            assert not can_bind(family, address, port.number)
        else:
            with socket.socket(family, kind) as other, pytest.raises(OSError, match="in use"):
                other.bind((address, port.number))
    held.close()
    assert can_bind(socket.AF_INET, "0.0.0.0", port.number, kind)


def test_a_port_that_is_held_refuses_connections_which_nothing_forwards(held: claims.Claims) -> None:
    [port] = take(held, "80")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port.number))


def test_a_port_is_given_to_one_claim_only_and_each_protocol_has_its_own(held: claims.Claims) -> None:
    number = free_port()
    [taken] = take(held, f"{number}:80")
    other = claims.Claims()
    for text in (f"{number}:81", f"127.0.0.1:{number}:80", f"[::1]:{number}:80"):
        with pytest.raises(claims.Taken, match="port is already allocated"):
            take(other, text)
    with pytest.raises(Conflict, match="to the same container's 80/tcp"):
        take(held, f"{number}:81")
    assert taken.number == number
    take(other, f"{number}:53/sctp")
    other.close()


def test_one_port_at_different_addresses_is_several(held: claims.Claims) -> None:
    number = free_port()
    take(held, f"127.0.0.1:{number}:80", f"127.0.0.2:{number}:81", f"[::1]:{number}:82")
    with pytest.raises(claims.Taken):
        take(claims.Claims(), f"{number}:80")


def test_any_port_is_one_that_both_versions_of_the_protocol_have_free(held: claims.Claims) -> None:
    found = take(held, *["80"] * 200)
    assert len({each.number for each in found}) == 200
    assert all(each.addresses() == ["0.0.0.0", "::"] for each in found)


def test_of_a_range_the_first_free_port_is_taken(held: claims.Claims) -> None:
    number = free_port()
    take(held, f"127.0.0.9:{number}:80")
    other = claims.Claims()
    [second] = take(other, f"127.0.0.9:{number}-{number + 2}:80")
    assert number < second.number <= number + 2
    other.close()
    with pytest.raises(Conflict, match=f"port is already allocated|all ports of {number}-{number}"):
        take(other, f"127.0.0.9:{number}-{number}:80")


def test_what_can_be_had_in_one_way_only_comes_first(held: claims.Claims) -> None:
    number = free_port()
    [any_of, the_one] = take(held, f"127.0.0.9:{number}-{number + 3}:80", f"127.0.0.9:{number}:81")
    assert the_one.number == number
    assert any_of.number > number


def test_connections_that_ended_not_long_ago_are_nobody(held: claims.Claims) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", number))
        server, _ = listener.accept()
        server.close()  # first, so that it is the server's end that waits a minute
        client.close()
    [port] = take(held, f"{number}:80")
    assert port.number == number
    assert not can_bind(socket.AF_INET, "0.0.0.0", number)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number))


def test_addresses_and_interfaces_that_are_not_there_are_told(held: claims.Claims) -> None:
    with pytest.raises(InvalidArgument, match="no such address"):
        take(held, "192.0.2.77:8080:80")
    with pytest.raises(NotFound, match="no such interface"):
        take(held, "80,on=orlop-nowhere")


def test_thousands_of_claims_are_one_descriptor_and_can_be_had_back() -> None:
    before = len(os.listdir("/proc/self/fd"))
    made = claims.Claims()
    found = take(made, *["80/udp"] * 300, "90")
    queue, watched = made.pack([found[-1]])
    assert len(os.listdir("/proc/self/fd")) == before + 2
    assert not can_bind(socket.AF_INET, "0.0.0.0", found[0].number, socket.SOCK_DGRAM)

    for _ in range(2):  # looking does not take them out
        again, served = claims.unpack(queue)
        assert [str(each) for each in again.published] == [str(each) for each in found]
        assert [str(port) for port, _ in served] == [str(found[-1])]
        again.close()

    poll = select.poll()
    poll.register(watched, select.POLLIN)
    assert not poll.poll(0)
    with socket.create_connection(("::1", found[-1].number)):
        assert poll.poll(10_000)
    os.close(queue)
    os.close(watched)
    assert can_bind(socket.AF_INET, "0.0.0.0", found[0].number, socket.SOCK_DGRAM)
