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
    assert name_resolution.resolvers(_OURS, made(dns=["9.9.9.9", "::1"])) == (
        b"search a b\noptions ndots:1\nnameserver 9.9.9.9\nnameserver ::1\n"
    )
    assert b"search c d\n" in name_resolution.resolvers(_OURS, made(dns_search=["c", "d"]))
    assert b"search" not in name_resolution.resolvers(_OURS, made(dns_search=["."]))
    assert name_resolution.resolvers(_OURS, made()) == _OURS


@pytest.mark.parametrize("fields", [{"dns": ["x"]}, {"dns_search": ["a\nnameserver 6.6.6.6"]}, {"dns_options": [""]}])
def test_what_would_be_another_line_is_refused(fields: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidArgument):
        name_resolution.resolvers(b"", made(**fields))


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
    assert name_resolution.hosts(made(extra_hosts=["h:host-gateway"], network="host")) == b"127.0.0.1\th\n"
    with pytest.raises(OrlopError, match="host-gateway"):
        name_resolution.hosts(made(extra_hosts=["h:host-gateway"]))
