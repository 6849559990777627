from __future__ import annotations

import pytest

from orlop.engine import name_resolution
from orlop.engine.settings import Settings
from orlop.errors import InvalidArgument, OrlopError

_OURS = b"# ours\nnameserver 1.1.1.1\nsearch a b\noptions ndots:1\n"


def made(**fields: object) -> Settings:
    settings = Settings()
    for name, value in fields.items():
        setattr(settings, name, value)
    return settings


def test_what_is_said_of_a_kind_stands_in_for_ours() -> None:
    assert name_resolution.resolvers(_OURS, ["9.9.9.9", "::1"], [], []) == (
        b"nameserver 9.9.9.9\nnameserver ::1\nsearch a b\noptions ndots:1\n"
    )
    assert b"search c d\n" in name_resolution.resolvers(_OURS, [], ["c", "d"], [])
    assert b"search" not in name_resolution.resolvers(_OURS, [], ["."], [])
    assert name_resolution.resolvers(_OURS, [], [], []) == _OURS


def test_a_container_with_a_resolver_of_its_networks_asks_that_one() -> None:
    assert name_resolution.own_resolver(_OURS, [], []) == b"nameserver 127.0.0.11\nsearch a b\noptions ndots:1\n"
    assert name_resolution.own_resolver(b"", [], []) == b"nameserver 127.0.0.11\noptions ndots:0\n"
    assert name_resolution.own_resolver(_OURS, ["."], ["edns0"]) == b"nameserver 127.0.0.11\noptions edns0 ndots:0\n"
    assert name_resolution.own_resolver(_OURS, ["c"], ["ndots:3"]) == (
        b"nameserver 127.0.0.11\nsearch c\noptions ndots:3\n"
    )


@pytest.mark.parametrize("fields", [{"dns": ["x"]}, {"dns_search": ["a\nnameserver 6.6.6.6"]}, {"dns_options": [""]}])
def test_what_would_be_another_line_is_refused(fields: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidArgument):
        name_resolution.check(made(**fields))


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [("a:1.2.3.4", "a", "1.2.3.4"), ("a=::1", "a", "::1"), ("a:[::1]", "a", "::1"), ("a:::1", "a", "::1")],
)
def test_a_host_has_a_name_and_an_address(text: str, name: str, address: str) -> None:
    assert name_resolution.split(text) == (name, address)


@pytest.mark.parametrize("text", ["", "a", "a:", ":1.2.3.4", "a:b", "a b:1.2.3.4", "a\n6.6.6.6 b:1.2.3.4"])
def test_other_hosts_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        name_resolution.split(text)


def test_the_host_s_gateway_needs_a_network() -> None:
    assert name_resolution.hosts(["h:host-gateway"], ["10.0.0.1", "fd00::1"]) == ["10.0.0.1\th\n", "fd00::1\th\n"]
    with pytest.raises(OrlopError, match="host-gateway"):
        name_resolution.hosts(["h:host-gateway"], [])
    with pytest.raises(OrlopError, match="host-gateway"):
        name_resolution.check(made(extra_hosts=["h:host-gateway"], network="none"))
