"""What -p and --expose say."""

from __future__ import annotations

from typing import Any

import pytest

from orlop.errors import InvalidArgument
from orlop.network.ports import specification


def one(text: str) -> tuple[str, str, str]:
    [(port, binding)] = specification.parse(text)
    return port, binding["HostIp"], binding["HostPort"]


@pytest.mark.parametrize(
    ("text", "port", "address", "host"),
    [
        ("80", "80/tcp", "", ""),
        ("80/UDP", "80/udp", "", ""),
        ("9000:9000/sctp", "9000/sctp", "", "9000"),
        ("8080:80", "80/tcp", "", "8080"),
        (":80", "80/tcp", "", ""),
        ("0:80", "80/tcp", "", "0"),
        ("080:80", "80/tcp", "", "80"),
        ("127.0.0.1:8080:80/udp", "80/udp", "127.0.0.1", "8080"),
        ("127.0.0.1::80", "80/tcp", "127.0.0.1", ""),
        ("[::1]:8080:80", "80/tcp", "::1", "8080"),
        ("2001:DB8::0:1:8080:80", "80/tcp", "2001:DB8::0:1", "8080"),
        ("[::]::80", "80/tcp", "::", ""),
        ("8000-8005:80", "80/tcp", "", "8000-8005"),
        ("8000-8002:80-80", "80/tcp", "", "8000-8002"),
        ("target=80,published=8080,protocol=udp", "80/udp", "", "8080"),
        ("published=8080,target=80,ip=127.0.0.1", "80/tcp", "127.0.0.1", "8080"),
    ],
)
def test_one_port_is_read(text: str, port: str, address: str, host: str) -> None:
    assert one(text) == (port, address, host)


def test_ranges_go_to_ranges() -> None:
    assert [(port, binding["HostPort"]) for port, binding in specification.parse("8000-8002:80-82/udp")] == [
        ("80/udp", "8000"),
        ("81/udp", "8001"),
        ("82/udp", "8002"),
    ]
    assert [binding["HostPort"] for _, binding in specification.parse("80-82")] == ["", "", ""]


def test_several_bindings_of_one_port_are_together() -> None:
    found = specification.bindings(["8080:80", "8081:80", "53:53/udp"])
    assert {port: [each["HostPort"] for each in bindings] for port, bindings in found.items()} == {
        "80/tcp": ["8080", "8081"],
        "53/udp": ["53"],
    }


def test_who_may_connect_and_where_is_part_of_a_binding() -> None:
    [(port, binding)] = specification.parse("127.0.0.1:8080:80,from=10.1.2.3/8,from=192.0.2.1,on=eth0")
    assert port == "80/tcp"
    assert binding == {
        "HostIp": "127.0.0.1",
        "HostPort": "8080",
        "From": ["10.0.0.0/8", "192.0.2.1/32"],
        "On": "eth0",
    }
    assert specification.parse("target=80,from=fd00::/8")[0][1]["From"] == ["fd00::/8"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no port specified"),
        ("80:", "no port specified"),
        ("a:80", "invalid hostPort: a"),
        ("80:a", "invalid containerPort: a"),
        ("8080:0", "invalid containerPort: 0"),
        ("70000:80", "invalid hostPort: 70000"),
        ("80:70000", "invalid containerPort: 70000"),
        ("90-80:80", "invalid hostPort: 90-80"),
        ("8000-:80", "invalid hostPort: 8000-"),
        ("+80:80", r"invalid hostPort: \+80"),
        ("٣:80", "invalid hostPort"),
        ("1.2.3:80:80", "invalid IP address: 1.2.3"),
        ("localhost:80:80", "invalid IP address: localhost"),
        ("[::1:80:80", "invalid IP address"),
        ("fe80::1%lo:80:80", "invalid IP address"),
        ("8000-8001:80-82", "invalid ranges specified for container and host Ports: 80-82 and 8000-8001"),
        ("80/foo", "invalid proto: foo"),
        ("8080:80,from=x", "invalid IP address"),
        ("8080:80,from=10.0.0.0/33", "invalid CIDR address"),
        ("8080:80,on=a/b", "invalid interface"),
        ("8080:80,on=a-name-that-is-too-long", "invalid interface"),
        ("8080:80,to=1", "invalid publish option 'to=1'"),
        ("[::1]:80:80,from=10.0.0.0/8", "nobody in 10.0.0.0/8 can connect to ::1"),
        ("target=80,published", "should be name=value but got 'published'"),
        ("target=80,mode=host", "unexpected key 'mode'"),
        ("target=80\0", "invalid containerPort"),
    ],
)
def test_what_cannot_be_published_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        specification.parse(text)


def test_exposed_ports_are_single_ones_or_ranges() -> None:
    assert specification.exposed("80") == ["80/tcp"]
    assert specification.exposed("80-82/UDP") == ["80/udp", "81/udp", "82/udp"]
    for wrong in ("", "a", "0", "90-80", "80:81", "80/foo", "70000"):
        with pytest.raises(InvalidArgument):
            specification.exposed(wrong)


def test_bindings_are_checked_whoever_wrote_them() -> None:
    right: dict[str, Any] = {"80/tcp": [{"HostIp": "::1", "HostPort": "8000-8005"}, {}], "53/udp": None}
    assert specification.check(right) == right
    assert specification.check({"80": [{}]}) == {"80/tcp": [{}]}
    wrongs: tuple[dict[str, Any], ...] = (
        {"80/foo": [{}]},
        {"0/tcp": [{}]},
        {"x/tcp": [{}]},
        {"80/tcp": [{"HostPort": "x"}]},
        {"80/tcp": [{"HostPort": "9-8"}]},
        {"80/tcp": [{"HostIp": "x"}]},
        {"80/tcp": [{"HostIp": "::1", "From": ["10.0.0.0/8"]}]},
        {"80/tcp": [{"From": ["x"]}]},
        {"80/tcp": [{"On": "../x"}]},
    )
    for wrong in wrongs:
        with pytest.raises(InvalidArgument):
            specification.check(wrong)


def test_a_port_limited_to_hosts_of_one_version_is_at_addresses_of_that_version() -> None:
    assert [str(each) for each in specification.families("", ["10.0.0.0/8"])] == ["2"]
    assert len(specification.families("", ["10.0.0.0/8", "fd00::/8"])) == 2
    assert len(specification.families("", [])) == 2
