from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orlop.images.registry.challenge import parse


def read(*headers: str) -> list[tuple[str, dict[str, str]]]:
    return [(each.scheme, each.parameters) for each in parse(headers)]


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("Basic", [("basic", {})]),
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        ('BASIC Realm="x", Charset=UTF-8', [("basic", {"realm": "x", "charset": "UTF-8"})]),
        ('Basic realm="a, b=\\"c\\" \\\\"', [("basic", {"realm": 'a, b="c" \\'})]),
        (
            'Bearer realm="https://auth.example.com/token",service="s",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {"realm": "https://auth.example.com/token", "service": "s", "scope": "repository:a/b:pull,push"},
                )
            ],
        ),
        ('Bearer realm = "x" , service = y', [("bearer", {"realm": "x", "service": "y"})]),
        ('Basic realm="a", Bearer realm="b"', [("basic", {"realm": "a"}), ("bearer", {"realm": "b"})]),
        ('Negotiate, Basic realm="a"', [("negotiate", {}), ("basic", {"realm": "a"})]),
        ('Negotiate YII+/x==, Basic realm="a"', [("negotiate", {}), ("basic", {"realm": "a"})]),
        (',, Basic realm="a",', [("basic", {"realm": "a"})]),
        ('Basic realm="first", realm="second"', [("basic", {"realm": "first"})]),
        ('Basic realm="never ends', [("basic", {})]),
        ('Basic realm="a" garbage="', [("basic", {"realm": "a"})]),
        ("", []),
        ("=x", []),
        ("Bearer" + " " * 20_000, []),
    ],
)
def test_a_challenge_is_read(header: str, meant: list[tuple[str, dict[str, str]]]) -> None:
    assert read(header) == meant


def test_challenges_of_several_headers_are_all_read() -> None:
    assert read('Basic realm="a"', 'Bearer realm="b"') == [("basic", {"realm": "a"}), ("bearer", {"realm": "b"})]


@given(st.lists(st.text(alphabet='Basic realm=",\\x ', max_size=40), max_size=3))
def test_any_header_is_read_without_an_error(headers: list[str]) -> None:
    parse(headers)
