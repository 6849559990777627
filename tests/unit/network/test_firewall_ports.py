"""Published ports as elements of maps, and what the configuration says of the firewall."""

from __future__ import annotations

import _socket
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orlop.errors import InvalidArgument
from orlop.linux.nftables import types
from orlop.linux.nftables.transaction import interval
from orlop.network.firewall import policy, port
from orlop.network.firewall.port import Port
from orlop.network.firewall.respect import names

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("10.0.0.0/8", "10.0.0.0", "10.255.255.255"),
        ("10.1.2.3/8", "10.0.0.0", "10.255.255.255"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
        ("fd00::/64", "fd00::", "fd00::ffff:ffff:ffff:ffff"),
        ("::1", "::1", "::1"),
    ],
)
def test_a_network_goes_from_its_first_address_to_its_last(text: str, first: str, last: str) -> None:
    family = _socket.AF_INET6 if ":" in text else _socket.AF_INET
    assert port.network(text) == (_socket.inet_pton(family, first), _socket.inet_pton(family, last))


@pytest.mark.parametrize(
    "text", ["", "10", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/٣", "fd00::/129", "eth0"]
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        port.network(text)


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        (Port("tcp", "", 80, "10.0.0.2", 8080), "anywhere"),
        (Port("udp", "0.0.0.0", 80, "10.0.0.2", 8080), "anywhere"),
        (Port("sctp", "::", 80, "fd00::2", 8080), "anywhere"),
        (Port("tcp", "192.0.2.1", 80, "10.0.0.2", 8080), "published"),
        (Port("tcp", "", 80, "10.0.0.2", 8080, source="10.0.0.0/8"), "limited"),
        (Port("tcp", "", 80, "10.0.0.2", 8080, interface="eth0"), "by_device"),
        (Port("tcp", "", 80, "10.0.0.2", 8080, interface="eth0", source="10.0.0.0/8"), "by_device"),
    ],
)
def test_each_port_is_in_one_map(published: Port, expected: str) -> None:
    name, element = published.element()
    assert name == expected
    assert isinstance(element.value, bytes)
    assert element.value[-4:] == (8080).to_bytes(2, "big") + bytes(2)
    if expected == "by_device":
        assert element.key[-16:] == element.last[-16:] == b"eth0" + bytes(12)


def test_an_address_of_the_other_family_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="::1: not an IPv4 address"):
        Port("tcp", "::1", 80, "10.0.0.2", 80).element()
    with pytest.raises(InvalidArgument, match="of different families"):
        Port("tcp", "", 80, "10.0.0.2", 80, source="fd00::/8").element()


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_an_interval_ends_before_its_second_element(one: int, other: int) -> None:
    first, last = min(one, other), max(one, other)
    elements = interval(first.to_bytes(4, "big"), last.to_bytes(4, "big"))
    assert elements[0].key == first.to_bytes(4, "big")
    if last == 2**32 - 1:
        assert len(elements) == 1
    else:
        assert int.from_bytes(elements[1].key, "big") == last + 1
        assert elements[1].closes


def test_parts_of_a_concatenation_fill_registers() -> None:
    assert types.joined(b"\x06", b"\1\2\3\4", b"\0\x50") == b"\x06\0\0\0\1\2\3\4\0\x50\0\0"
    assert types.length_of((types.PROTOCOL, types.IPV4_ADDRESS, types.SERVICE)) == 12
    with pytest.raises(ValueError, match="longer than a network device's name can be"):
        types.interface_name("a" * 16)


def test_names_of_devices_fit() -> None:
    assert names("orlop") == ("orl-o", "orl-i")
    assert all(len(name) <= 15 for name in names("orlop-1a2b3c4d"))


def test_rules_of_the_host_are_respected_unless_the_configuration_says_otherwise(tmp_path: Path) -> None:
    system = tmp_path / "config.toml"
    assert policy.is_respectful(str(tmp_path), str(system))
    system.write_text('firewall = "open"\n')
    assert not policy.is_respectful(str(tmp_path), str(system))
    assert not policy.is_respectful(str(tmp_path), str(system))
    system.write_text('firewall = "respect"\n')
    os.utime(system, ns=(1, 1))
    assert policy.is_respectful(str(tmp_path), str(system))
    system.write_text("[registries]\n")
    assert policy.is_respectful(str(tmp_path), str(system))
    assert policy.is_respectful(str(tmp_path), str(system / "not-a-directory"))
    for wrong in ('firewall = "closed"', "firewall = true"):
        system.write_text(wrong)
        with pytest.raises(InvalidArgument, match=r'firewall in .* must be "respect" or "open"'):
            policy.is_respectful(str(tmp_path), str(system))


def test_a_configuration_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    system = tmp_path / "config.toml"
    system.write_text('firewall = "open"')
    os.utime(system, ns=(5, 5))
    assert not policy.is_respectful(str(tmp_path), str(system))
    descriptor = os.open(system, os.O_WRONLY)
    os.write(descriptor, b"garbage")
    os.close(descriptor)
    os.utime(system, ns=(5, 5))
    assert not policy.is_respectful(str(tmp_path), str(system))
