from __future__ import annotations

import pytest

from orlop.images.registry.proxies import is_loopback, proxy_for

PROXIES = {"HTTP_PROXY": "http://plain:3128", "HTTPS_PROXY": "http://tls:3128"}


def through(host: str, scheme: str = "https", port: int = 443, **more: str) -> str:
    return proxy_for(scheme, host, port, PROXIES | more)


def test_the_scheme_decides_which_proxy_is_used() -> None:
    assert through("example.com") == "http://tls:3128"
    assert through("example.com", "http", 80) == "http://plain:3128"
    assert proxy_for("https", "example.com", 443, {"ALL_PROXY": "all:1"}) == "http://all:1"
    assert proxy_for("https", "example.com", 443, {"https_proxy": "lower:1"}) == "http://lower:1"
    assert proxy_for("https", "example.com", 443, {}) == ""


def test_this_machine_is_never_reached_by_a_proxy() -> None:
    for host in ("localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost."):
        assert is_loopback(host)
        assert through(host) == ""
    for host in ("example.com", "localhost.example.com", "10.0.0.1", "::2", "1270.0.0.1"):
        assert not is_loopback(host)


def test_a_header_of_a_cgi_request_is_not_taken_for_a_proxy() -> None:
    assert through("example.com", "http", 80, REQUEST_METHOD="GET") == ""


@pytest.mark.parametrize(
    ("exclusions", "host", "port", "direct"),
    [
        ("example.com", "example.com", 443, True),
        ("example.com", "a.example.com", 443, True),
        ("example.com", "notexample.com", 443, False),
        (".example.com", "a.example.com", 443, True),
        (".example.com", "example.com", 443, False),
        ("*.example.com", "a.example.com", 443, True),
        ("EXAMPLE.com", "a.Example.COM", 443, True),
        ("example.com:5000", "example.com", 5000, True),
        ("example.com:5000", "example.com", 443, False),
        ("a, b ,example.com", "example.com", 443, True),
        ("*", "example.com", 443, True),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("10.0.0.0/8", "example.com", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("10.1.2.3:80", "10.1.2.3", 443, False),
        ("fd00::/8", "fd00::1", 443, True),
        ("fd00::1", "fd00::1", 443, True),
        ("nonsense/99", "example.com", 443, False),
        ("", "example.com", 443, False),
    ],
)
def test_excluded_hosts_are_reached_directly(exclusions: str, host: str, port: int, direct: bool) -> None:
    assert (through(host, port=port, NO_PROXY=exclusions) == "") is direct
