"""Ports as lists show them: the examples are what docker ps prints."""

from __future__ import annotations

from typing import Any

import pytest

from orlop.engine import ports


def at(*places: str) -> list[dict[str, Any]]:
    return [{"HostIp": place.rpartition(":")[0], "HostPort": place.rpartition(":")[2]} for place in places]


@pytest.mark.parametrize(
    ("there", "shown"),
    [
        ({}, ""),
        ({"80/tcp": None}, "80/tcp"),
        ({"80/tcp": at("0.0.0.0:8080", ":::8080")}, "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ({f"{n}/udp": None for n in (500, 501, 502, 504)}, "500-502/udp, 504/udp"),
        ({f"{n}/tcp": at(f"0.0.0.0:{n}", f":::{n}") for n in range(9000, 9004)},
         "0.0.0.0:9000-9003->9000-9003/tcp, [::]:9000-9003->9000-9003/tcp"),
        ({"90/tcp": at("0.0.0.0:7000"), "91/tcp": at("0.0.0.0:7001")}, "0.0.0.0:7000->90/tcp, 0.0.0.0:7001->91/tcp"),
        (
            {
                "53/udp": at("127.0.0.1:53"), "80/tcp": at("0.0.0.0:8080", ":::8080"), "443/tcp": None,
                "500/udp": None, "501/udp": None, "9000/tcp": at("0.0.0.0:9000", ":::9000"),
            },
            ("127.0.0.1:53->53/udp, 443/tcp, 500-501/udp, 0.0.0.0:9000->9000/tcp, [::]:9000->9000/tcp, "
             "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ),
        (
            {"80/tcp": at("0.0.0.0:81", "0.0.0.0:82", ":::81", ":::82", "::1:83")},
            "0.0.0.0:81->80/tcp, 0.0.0.0:82->80/tcp, [::]:81->80/tcp, [::]:82->80/tcp, [::1]:83->80/tcp",
        ),
    ],
)  # fmt: skip
def test_ports_are_shown_as_docker_shows_them(there: dict[str, Any], shown: str) -> None:
    assert ports.displayed(there) == shown


def test_the_hosts_ports_are_what_publish_filters_go_by() -> None:
    assert ports.of_host({"80/tcp": at("0.0.0.0:8080"), "443/tcp": None, "53/udp": at("127.0.0.1:5353")}) == [
        "8080/tcp",
        "5353/udp",
    ]
