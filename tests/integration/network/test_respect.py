"""Published ports that obey the host's own rules for what comes in, with real traffic."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from orlop.network.firewall.port import Port
from orlop.network.firewall.zone import Zone
from tests.integration.network.conftest import Engine

if TYPE_CHECKING:
    from tests.integration.network.conftest import Site

HOST, HOST6, LAN, LAN6 = "192.0.2.1", "fd00:2::1", "192.0.2.2", "fd00:2::2"
WEB, WEB6, DATA = "10.1.0.2", "fd00:a1::2", "10.2.0.2"

WEB4 = [Port(protocol, "", 8080, WEB, 80, bridge="one") for protocol in ("tcp", "udp")]
ALL = [*WEB4, *(Port(protocol, "::", 8080, WEB6, 80, bridge="one") for protocol in ("tcp", "udp"))]

DROPPING = """
table inet user {
    chain drops {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname "lo" accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    }
}
"""


@pytest.fixture
def dropping(site: Site) -> Site:
    site.host.run("nft", "-f", "-", text=DROPPING)
    return site


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_without_rules_of_the_hosts_everything_is_as_ever(site: Site, respectful: Engine, protocol: str) -> None:
    respectful.open(site.one, site.two)
    respectful.publish(*ALL)
    respectful.firewall.settle(ALL)
    assert site.lan.ask(HOST, 8080, protocol=protocol) == f"web {LAN}"
    assert site.lan.ask(HOST6, 8080, protocol=protocol) == f"web {LAN6}"
    assert site.host.ask(HOST, 8080, protocol=protocol) == f"web {HOST}"
    assert site.host.ask("127.0.0.1", 8080, protocol=protocol) == "web 10.1.0.1"
    assert site.data.ask(HOST, 8080, protocol=protocol) == f"web {DATA}"
    assert site.web.ask(HOST, 8080, protocol=protocol) == "web 10.1.0.1"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_what_the_host_does_not_let_in_is_not_let_in(dropping: Site, respectful: Engine, protocol: str) -> None:
    respectful.open(dropping.one, dropping.two)
    respectful.publish(*ALL)
    assert dropping.lan.reached((HOST, 8080), (HOST6, 8080), protocol=protocol) == []
    # The host and its containers are not outside.
    assert dropping.host.ask(HOST, 8080, protocol=protocol) == f"web {HOST}"
    assert dropping.host.ask("127.0.0.1", 8080, protocol=protocol) == "web 10.1.0.1"
    assert dropping.data.ask(HOST, 8080, protocol=protocol) == f"web {DATA}"
    dropping.host.run("nft", f"add rule inet user drops {protocol} dport 8080 accept")
    assert dropping.lan.ask(HOST, 8080, protocol=protocol) == f"web {LAN}"
    assert dropping.lan.ask(HOST6, 8080, protocol=protocol) == f"web {LAN6}"


def test_rules_that_choose_among_clients_are_obeyed(dropping: Site, respectful: Engine) -> None:
    dropping.lan.run("ip", "addr", "replace", "192.0.2.3/24", "dev", "eth0")
    dropping.host.run("nft", "add rule inet user drops ip saddr 192.0.2.3 tcp dport 8080 accept")
    dropping.host.run("nft", "add rule inet user drops ip saddr 192.0.2.2 tcp dport 8080 reject with tcp reset")
    respectful.open(dropping.one)
    respectful.publish(*ALL)
    with dropping.lan.inside(socket.socket) as refused:
        refused.bind(("192.0.2.2", 0))
        with pytest.raises(ConnectionRefusedError):
            refused.connect((HOST, 8080))
    with dropping.lan.inside(socket.socket) as welcome:
        welcome.settimeout(15)
        welcome.bind(("192.0.2.3", 0))
        welcome.connect((HOST, 8080))
        assert welcome.recv(100) == b"web 192.0.2.3"


@pytest.mark.parametrize("program", ["iptables-nft", "iptables-legacy"])
def test_iptables_rules_are_obeyed_as_well(site: Site, respectful: Engine, program: str) -> None:
    respectful.open(site.one)
    respectful.publish(*ALL)
    try:
        site.host.run(program, "-A", "INPUT", "-i", "eth0", "-p", "tcp", "--dport", "8080", "-j", "REJECT")
        assert not site.lan.reaches(HOST, 8080)
        site.host.run(program, "-F", "INPUT")
        assert site.lan.ask(HOST, 8080) == f"web {LAN}"
    finally:
        site.host.run(program, "-F", "INPUT")


def test_ports_for_a_device_or_a_network_of_clients_stay_so(site: Site, respectful: Engine) -> None:
    respectful.open(site.one, site.two)
    respectful.publish(
        Port("tcp", "", 8081, WEB, 80, interface="eth0"),
        Port("tcp", "", 8082, WEB, 80, interface="two"),
        Port("tcp", "", 8083, WEB, 80, source="192.0.2.0/24"),
        Port("tcp", "", 8084, WEB, 80, source="198.51.100.0/24"),
        Port("tcp", HOST, 8085, WEB, 80),
        Port("tcp", "127.0.0.1", 8086, WEB, 80, bridge="one"),
        Port("tcp", "::", 8081, WEB6, 80, interface="eth0", source="fd00:2::/64"),
    )
    for port in (8081, 8083, 8085):
        assert site.lan.ask(HOST, port) == f"web {LAN}"
    assert site.lan.ask(HOST6, 8081) == f"web {LAN6}"
    assert site.lan.reached((HOST, 8082), (HOST, 8084), (HOST, 8086)) == []
    assert site.data.ask(HOST, 8082) == f"web {DATA}"
    assert site.host.ask("127.0.0.1", 8086) == "web 10.1.0.1"


def test_a_copy_that_is_lost_costs_the_client_an_attempt_and_no_more(dropping: Site, respectful: Engine) -> None:
    """A host that checks by which device an address must come, or that drops what it sends by devices it does not know."""
    dropping.host.run("nft", "add rule inet user drops tcp dport 8080 accept")
    respectful.open(dropping.one)
    respectful.publish(*ALL)
    dropping.host.write("/proc/sys/net/ipv4/conf/all/rp_filter", "1")
    try:
        assert dropping.lan.ask(HOST, 8080) == f"web {LAN}"
    finally:
        dropping.host.write("/proc/sys/net/ipv4/conf/all/rp_filter", "0")
    dropping.host.run("nft", "add chain inet user out { type filter hook output priority 0; }")
    dropping.host.run("nft", 'add rule inet user out oifname "orl*" drop')
    assert dropping.lan.ask(HOST6, 8080) == f"web {LAN6}"


def test_unpublished_ports_and_the_hosts_own_services_are_left_alone(dropping: Site, respectful: Engine) -> None:
    dropping.host.serve("host", 9000)
    dropping.host.run("nft", "add rule inet user drops tcp dport { 8080, 9000 } accept")
    respectful.open(dropping.one)
    respectful.publish(*ALL)
    assert dropping.lan.ask(HOST, 8080) == f"web {LAN}"
    assert dropping.lan.ask(HOST, 9000) == f"host {LAN}"
    respectful.firewall.unpublish(ALL)
    with dropping.lan.inside(socket.socket) as client, pytest.raises(ConnectionRefusedError):
        client.connect((HOST, 8080))


def test_rules_that_were_laid_for_the_other_setting_are_not_whole(
    site: Site, respectful: Engine, engine: Engine
) -> None:
    for before, after in ((engine, respectful), (respectful, engine)):
        before.firewall.rebuild([site.one], ALL)
        assert before.firewall.is_whole()
        assert not after.firewall.is_whole()
        after.firewall.rebuild([site.one], [])
        assert after.firewall.is_whole()
        assert not before.firewall.is_whole()


def test_a_host_whose_ipv6_is_switched_off_has_its_ports_too(dropping: Site, respectful: Engine) -> None:
    for device in ("all", "default"):
        dropping.host.write(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6", "1")
    try:
        respectful.open(Zone("one", dropping.one.subnets[:1]))
        respectful.publish(*WEB4)
        assert respectful.firewall.is_whole()
        assert not dropping.lan.reaches(HOST, 8080)
        dropping.host.run("nft", "add rule inet user drops tcp dport 8080 accept")
        assert dropping.lan.ask(HOST, 8080) == f"web {LAN}"
    finally:
        for device in ("all", "default"):
            dropping.host.write(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6", "0")
        for device, address in (("eth0", HOST6), ("one", "fd00:a1::1"), ("two", "fd00:a2::1")):
            dropping.host.run("ip", "addr", "replace", f"{address}/64", "dev", device, "nodad")


def test_engines_do_not_get_in_each_others_way(site: Site, respectful: Engine) -> None:
    other = Engine(site, "orlop-1a2b3c4d", respect=True)
    try:
        respectful.open(site.one)
        other.open(site.two)
        respectful.publish(*ALL)
        ours = [Port("udp", "", 8081, DATA, 80), Port("udp", "::", 8081, "fd00:a2::2", 80)]
        other.publish(*ours)
        for address, client in ((HOST, LAN), (HOST6, LAN6)):
            assert site.lan.ask(address, 8080, protocol="udp") == f"web {client}"
            assert site.lan.ask(address, 8081, protocol="udp") == f"data {client}"
        respectful.firewall.clear()
        for address, client in ((HOST, LAN), (HOST6, LAN6)):
            assert site.lan.ask(address, 8081, protocol="udp") == f"data {client}"
    finally:
        other.end()


def test_the_devices_come_with_the_first_port_and_go_with_the_last_network(site: Site, respectful: Engine) -> None:
    before = site.host.run("ip", "-o", "link")
    respectful.open(site.one, site.two)
    assert respectful.firewall.is_whole()
    assert site.host.run("ip", "-o", "link") == before
    respectful.publish(*ALL)
    assert respectful.firewall.is_whole()
    assert "orl-i" in site.host.run("ip", "-o", "link")
    site.host.run("ip", "link", "delete", "orl-i")
    assert not respectful.firewall.is_whole()
    respectful.open(site.one)
    assert respectful.firewall.is_whole()
    site.host.run("nft", "flush", "table", "ip", "orlop")
    assert not respectful.firewall.is_whole()
    respectful.open(site.one)
    assert respectful.firewall.is_whole()
    respectful.firewall.rebuild([site.one, site.two], ALL)
    assert respectful.firewall.is_whole()
    assert site.lan.ask(HOST, 8080) == f"web {LAN}"
    respectful.firewall.close_zone(site.two)
    respectful.firewall.close_zone(site.one)
    assert site.host.run("ip", "-o", "link") == before
    assert site.host.rules() == ""
