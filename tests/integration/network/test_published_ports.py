"""Published ports, with real traffic between a host, its neighbour and containers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from orlop.errors import InvalidArgument, NotFound
from orlop.network.firewall.firewall import FirewallGone
from orlop.network.firewall.port import Port
from orlop.network.firewall.zone import ROUTED, UNPROTECTED, Zone

if TYPE_CHECKING:
    from tests.integration.network.conftest import Engine, Site

HOST, HOST6, LAN, LAN6 = "192.0.2.1", "fd00:2::1", "192.0.2.2", "fd00:2::2"
WEB, WEB6 = "10.1.0.2", "fd00:a1::2"
DATA = "10.2.0.2"


def web(protocol: str = "tcp", host_address: str = "", host_port: int = 8080, **more: str) -> Port:
    return Port(protocol, host_address, host_port, WEB, 80, bridge="one", **more)  # type: ignore[arg-type]


def web6(protocol: str = "tcp", host_port: int = 8080, **more: str) -> Port:
    return Port(protocol, "::", host_port, WEB6, 80, bridge="one", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_everybody_reaches_a_port_and_the_container_sees_who_it_is(site: Site, engine: Engine, protocol: str) -> None:
    engine.open(site.one, site.two)
    assert not site.lan.reaches(HOST, 8080, protocol=protocol)
    engine.publish(web(protocol), web6(protocol))
    engine.firewall.settle([web(protocol), web6(protocol)])
    assert site.lan.ask(HOST, 8080, protocol=protocol) == f"web {LAN}"
    assert site.lan.ask(HOST6, 8080, protocol=protocol) == f"web {LAN6}"
    assert site.host.ask(HOST, 8080, protocol=protocol) == f"web {HOST}"
    assert site.host.ask(HOST6, 8080, protocol=protocol) == f"web {HOST6}"
    assert site.host.ask("127.0.0.1", 8080, protocol=protocol) == "web 10.1.0.1"
    assert site.host.ask("127.8.9.1", 8080, protocol=protocol) == "web 10.1.0.1"
    # From another network the client is known, from the same one the host has to stand in between.
    assert site.data.ask(HOST, 8080, protocol=protocol) == "web 10.2.0.2"
    assert site.data.ask(HOST6, 8080, protocol=protocol) == "web fd00:a2::2"
    assert site.data.ask("10.2.0.1", 8080, protocol=protocol) == "web 10.2.0.2"
    for client in (site.shop, site.web):
        assert client.ask(HOST, 8080, protocol=protocol) == "web 10.1.0.1"
        assert client.ask(HOST6, 8080, protocol=protocol) == "web fd00:a1::1"
        assert client.ask("10.1.0.1", 8080, protocol=protocol) == "web 10.1.0.1"


def test_a_port_on_one_address_is_on_no_other(site: Site, engine: Engine) -> None:
    site.host.run("ip", "addr", "replace", "192.0.2.9/24", "dev", "eth0")
    engine.open(site.one)
    engine.publish(web(host_address="192.0.2.9"), web(host_address="127.0.0.1", host_port=8081))
    assert site.lan.ask("192.0.2.9", 8080) == f"web {LAN}"
    assert not site.lan.reaches(HOST, 8080)
    assert not site.lan.reaches("192.0.2.9", 8081)
    assert not site.host.reaches("127.0.0.1", 8080)
    assert site.host.ask("127.0.0.1", 8081) == "web 10.1.0.1"


def test_an_unpublished_port_ends_at_once(site: Site, engine: Engine) -> None:
    engine.open(site.one)
    both = [web(), web("udp"), web6()]
    engine.publish(*both)
    with site.lan.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.connect((HOST, 8080))
        client.settimeout(60)
        client.send(b"?")
        assert client.recv(100)
        engine.firewall.unpublish(both)
        client.send(b"?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)
    assert not site.lan.reaches(HOST, 8080)
    assert not site.lan.reaches(HOST6, 8080)
    assert not site.host.reaches("127.0.0.1", 8080)
    engine.firewall.unpublish(both)


def test_datagrams_that_were_sent_before_find_their_way_once_the_port_is_there(site: Site, engine: Engine) -> None:
    engine.open(site.one)
    site.host.run("nft", "add table ip quiet; add chain ip quiet in { type filter hook input priority 0; }")
    site.host.run("nft", "add rule ip quiet in udp dport 8080 drop")
    with site.lan.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.connect((HOST, 8080))
        client.settimeout(60)
        # The kernel keeps in mind what was sent, since somebody else's chain might want to know.
        site.host.run("nft", "flush chain ip quiet in")
        client.send(b"?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)
        engine.publish(web("udp"))
        engine.firewall.settle([web("udp")])
        client.send(b"?")
        assert client.recv(100) == b"web 192.0.2.2"


def test_a_port_leads_where_it_was_last_published_to(site: Site, engine: Engine) -> None:
    engine.open(site.one, site.two)
    engine.publish(web(), web(source="192.0.2.0/24", host_port=8082))
    engine.publish(web())
    assert site.lan.ask(HOST, 8080) == f"web {LAN}"
    engine.publish(
        Port("tcp", "", 8080, DATA, 80, bridge="two"),
        Port("tcp", "", 8081, DATA, 80),
        Port("tcp", "", 8082, DATA, 80, source="192.0.2.0/24"),
    )
    for port in (8080, 8081, 8082):
        assert site.lan.ask(HOST, port) == f"data {LAN}"


def test_a_port_can_be_for_one_network_of_clients(site: Site, engine: Engine) -> None:
    engine.open(site.one, site.two)
    engine.publish(
        web(source="192.0.2.2/31"),
        web(source="10.2.0.0/16"),
        web(source="198.51.100.0/24", host_port=8081),
        web(source="10.2.0.0/16", host_port=8082, host_address=HOST),
        web6(source="fd00:2::2"),
        web6(source="fd00:3::/64", host_port=8081),
    )
    assert site.lan.ask(HOST, 8080) == f"web {LAN}"
    assert site.lan.ask(HOST6, 8080) == f"web {LAN6}"
    assert site.data.ask(HOST, 8080) == "web 10.2.0.2"
    assert site.data.ask(HOST, 8082) == "web 10.2.0.2"
    assert not site.data.reaches("10.2.0.1", 8082)
    assert site.lan.reached((HOST, 8081), (HOST, 8082), (HOST6, 8081)) == []
    assert not site.host.reaches(HOST, 8080), "the host is not in these networks"


def test_a_port_can_be_for_one_device(site: Site, engine: Engine) -> None:
    engine.open(site.one, site.two)
    engine.publish(
        web(interface="eth0"),
        web(interface="two", host_port=8081),
        web(interface="eth0", source="10.0.0.0/8", host_port=8082),
        web6(interface="eth0"),
    )
    assert site.lan.ask(HOST, 8080) == f"web {LAN}"
    assert site.lan.ask(HOST6, 8080) == f"web {LAN6}"
    assert site.data.ask(HOST, 8081) == "web 10.2.0.2"
    assert not site.data.reaches(HOST, 8080)
    assert site.lan.reached((HOST, 8081), (HOST, 8082)) == []
    assert not site.host.reaches(HOST, 8080)
    site.host.run("ip", "link", "add", "eth5", "type", "bridge")
    passing = [web(interface="eth5", host_port=port) for port in (8083, 8084)]
    engine.publish(*passing)
    site.host.run("ip", "link", "delete", "eth5")
    engine.firewall.unpublish(passing[:1])
    assert "8083" not in site.host.rules()
    engine.firewall.rebuild([site.one, site.two], [*passing, web(interface="eth0"), web(interface="eth0")])
    assert "8084" in site.host.rules(), "the device may come back"
    assert site.lan.ask(HOST, 8080) == f"web {LAN}"
    with pytest.raises(NotFound, match="network device eth7: the host has none of this name"):
        engine.publish(web(interface="eth7"))
    with pytest.raises(InvalidArgument, match="10.0.0.0/33: the length of its prefix is not a number from 0 to 32"):
        engine.publish(web(source="10.0.0.0/33"))
    with pytest.raises(InvalidArgument, match="of different families"):
        engine.publish(web(source="fd00::/8"))


def test_sctp_is_translated_as_well(site: Site, engine: Engine) -> None:
    """This kernel may have no SCTP sockets: the first packet of an association is made by hand."""
    engine.open(site.one)
    engine.publish(web("sctp"))
    initiation = bytes((1, 0, 0, 20)) + b"\0\0\0\x07" + bytes((0, 0, 16, 0, 0, 1, 0, 1)) + b"\0\0\0\x01"
    head = (4000).to_bytes(2, "big") + (8080).to_bytes(2, "big") + bytes(4)
    packet = head + crc32c(head + bytes(4) + initiation).to_bytes(4, "little") + initiation
    with (
        site.web.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)) as server,
        site.lan.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)) as client,
    ):
        server.settimeout(60)
        client.sendto(packet, (HOST, 0))
        came, (sender, _) = server.recvfrom(1000)
    assert sender == LAN
    assert came[20:24] == (4000).to_bytes(2, "big") + (80).to_bytes(2, "big")
    assert came[32:] == initiation


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_an_engine_whose_tables_were_flushed_says_so_and_has_them_made_anew(site: Site, engine: Engine) -> None:
    engine.open(site.one)
    engine.publish(web())
    assert engine.firewall.is_whole()
    site.host.run("nft", "flush", "ruleset")
    assert not engine.firewall.is_whole()
    assert not site.lan.reaches(HOST, 8080)
    with pytest.raises(FirewallGone):
        engine.publish(web(host_port=8081))
    engine.firewall.unpublish([web(host_port=8081)])
    engine.firewall.close_zone(site.two)
    engine.firewall.rebuild([site.one, site.two], [web(), web(host_port=8081)])
    assert engine.firewall.is_whole()
    for port in (8080, 8081):
        assert site.lan.ask(HOST, port) == f"web {LAN}"
    assert site.host.ask("127.0.0.1", 8080) == "web 10.1.0.1"
    engine.firewall.rebuild([], [])
    assert site.host.rules() == ""


@pytest.mark.parametrize(
    "damage",
    ["flush table ip orlop", "flush chain ip orlop guard", "delete table ip6 orlop", "flush chain ip orlop output"],
)
def test_tables_that_somebody_damaged_are_not_whole(site: Site, engine: Engine, damage: str) -> None:
    engine.open(site.one)
    assert engine.firewall.is_whole()
    site.host.run("nft", damage)
    assert not engine.firewall.is_whole()
    engine.firewall.open_zone(site.one)
    assert engine.firewall.is_whole()


def test_a_port_more_is_an_element_more_and_no_rule(site: Site, engine: Engine) -> None:
    engine.open(site.one)
    engine.publish(web())
    before = rules(site)
    engine.publish(*(web(host_port=port) for port in range(9000, 9500)))
    assert site.lan.ask(HOST, 9499) == f"web {LAN}"
    assert len(site.host.rules().split(" tcp . 9")) == 501
    assert rules(site) == before
    engine.firewall.unpublish([web(host_port=port) for port in range(9000, 9500)])
    assert "tcp . 9" not in site.host.rules()


def rules(site: Site) -> str:
    return site.host.run("nft", "--stateless", "--terse", "list", "ruleset")


def test_a_routed_network_is_reached_by_its_own_addresses(site: Site, engine: Engine) -> None:
    routed = Zone("one", site.one.subnets, mode4=ROUTED, mode6=ROUTED)
    engine.open(routed)
    site.lan.run("ip", "route", "replace", "10.1.0.0/24", "via", HOST)
    site.lan.run("ip", "route", "replace", "fd00:a1::/64", "via", HOST6)
    assert not site.lan.reaches(WEB, 80)
    engine.publish(Port("tcp", "", 0, WEB, 80, direct=True), Port("tcp", "", 0, WEB6, 80, direct=True))
    assert site.lan.ask(WEB, 80) == f"web {LAN}"
    assert site.lan.ask(WEB6, 80) == f"web {LAN6}"
    assert not site.lan.reaches("10.1.0.3", 80)
    assert site.web.ask(LAN, 80) == f"lan {WEB}", "its address is not translated"
    engine.firewall.unpublish([Port("tcp", "", 0, WEB, 80, direct=True)])
    assert not site.lan.reaches(WEB, 80)
    open_to_all = Zone("one", site.one.subnets, mode4=UNPROTECTED)
    engine.open(open_to_all)
    assert site.lan.ask("10.1.0.3", 80) == f"shop {LAN}"
    assert not site.lan.reaches(WEB6.replace("::2", "::3"), 80)
