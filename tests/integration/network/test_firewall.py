"""What the rules keep apart, with real traffic, and beside other people's rules."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.errors import Conflict
from orlop.network.firewall.firewall import Firewall
from orlop.network.firewall.link import Link
from orlop.network.firewall.port import Port
from orlop.network.firewall.zone import Zone
from tests.integration.network.conftest import Engine
from tests.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.network.conftest import Site

HOST, HOST6, LAN, LAN6 = "192.0.2.1", "fd00:2::1", "192.0.2.2", "fd00:2::2"
WEB, WEB6, SHOP, DATA, DATA6 = "10.1.0.2", "fd00:a1::2", "10.1.0.3", "10.2.0.2", "fd00:a2::2"


def changed(zone: Zone, **settings: object) -> Zone:
    return Zone(zone.bridge, zone.subnets, **settings)  # type: ignore[arg-type]


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """Where the path of a socket has room."""
    with tempfile.TemporaryDirectory(prefix="orlop-test-") as path:
        yield Path(path)


@pytest.fixture
def routed(site: Site) -> Site:
    """The neighbour sends packets for containers straight to the host."""
    for network in ("10.1.0.0/24", "10.2.0.0/24"):
        site.lan.run("ip", "route", "replace", network, "via", HOST)
    for network in ("fd00:a1::/64", "fd00:a2::/64"):
        site.lan.run("ip", "route", "replace", network, "via", HOST6)
    return site


def test_containers_reach_the_world_by_the_hosts_address_and_each_other_by_their_own(
    site: Site, engine: Engine
) -> None:
    engine.open(site.one, site.two)
    assert site.web.ask(LAN, 80) == f"lan {HOST}"
    assert site.web.ask(LAN6, 80) == f"lan {HOST6}"
    assert site.web.ask(LAN, 80, protocol="udp") == f"lan {HOST}"
    assert site.web.ask(SHOP, 80) == f"shop {WEB}"
    assert site.host.ask(WEB, 80) == "web 10.1.0.1"
    assert site.host.ask(WEB6, 80) == "web fd00:a1::1"


def test_networks_do_not_reach_each_other(site: Site, engine: Engine) -> None:
    engine.open(site.one, site.two)
    for protocol in ("tcp", "udp"):
        assert site.web.reached((DATA, 80), (DATA6, 80), protocol=protocol) == []
    assert site.data.reached((SHOP, 80), (WEB6, 80)) == []


def test_networks_of_two_engines_do_not_reach_each_other(site: Site, engine: Engine, other_engine: Engine) -> None:
    engine.open(site.one)
    assert site.data.reaches(WEB, 80) is False
    other_engine.open(site.two)
    assert not site.data.reaches(WEB, 80)
    assert not site.web.reaches(DATA, 80)
    assert site.web.ask(LAN, 80) == f"lan {HOST}"
    assert site.data.ask(LAN, 80) == f"lan {HOST}"
    engine.publish(Port("tcp", "", 8080, WEB, 80, bridge="one"))
    other_engine.publish(Port("tcp", "", 8081, DATA, 80, bridge="two"))
    assert site.lan.ask(HOST, 8080) == f"web {LAN}"
    assert site.lan.ask(HOST, 8081) == f"data {LAN}"
    assert site.host.ask("127.0.0.1", 8080) == "web 10.1.0.1"
    # Between engines the host stands in, since neither knows the other's containers.
    assert site.data.ask(HOST, 8080) == "web 10.1.0.1"
    engine.firewall.close_zone(site.one)
    assert site.lan.ask(HOST, 8081) == f"data {LAN}"
    assert engine.firewall.table not in [line.split()[-2] for line in site.host.rules().split("\n") if "table" in line]


def test_a_neighbour_cannot_send_packets_straight_to_containers(routed: Site, engine: Engine) -> None:
    engine.open(routed.one, routed.two)
    engine.publish(Port("tcp", "", 8080, WEB, 80, bridge="one"), Port("tcp", "::", 8080, WEB6, 80, bridge="one"))
    for protocol in ("tcp", "udp"):
        targets = [(address, 80) for address in (WEB, WEB6, SHOP, DATA, DATA6)]
        assert routed.lan.reached(*targets, protocol=protocol) == []
    assert routed.lan.ask(HOST, 8080) == f"web {LAN}"


def test_devices_that_are_trusted_reach_containers_directly(routed: Site, engine: Engine) -> None:
    engine.open(changed(routed.one, trusted=("eth0",)))
    assert routed.lan.ask(WEB, 80) == f"web {LAN}"
    assert routed.lan.ask(WEB6, 80) == f"web {LAN6}"


def test_an_internal_network_is_one_of_its_own(routed: Site, engine: Engine) -> None:
    engine.open(changed(routed.one, internal=True), routed.two)
    engine.publish(Port("tcp", "", 8081, DATA, 80, bridge="two"), Port("tcp", "", 8080, WEB, 80, bridge="one"))
    assert routed.web.ask(SHOP, 80) == f"shop {WEB}"
    assert routed.host.ask(WEB, 80) == "web 10.1.0.1"
    assert routed.web.reached((LAN, 80), (LAN6, 80), (DATA, 80), (HOST, 8081)) == []
    assert routed.lan.reached((WEB, 80), (HOST, 8080)) == []
    assert not routed.data.reaches(WEB, 80)


def test_a_network_can_be_translated_to_one_address_or_not_at_all(routed: Site, engine: Engine) -> None:
    routed.host.run("ip", "addr", "replace", "192.0.2.9/24", "dev", "eth0")
    engine.open(changed(routed.one, source4="192.0.2.9"), changed(routed.two, masquerade=False))
    assert routed.web.ask(LAN, 80) == "lan 192.0.2.9"
    assert routed.web.ask(LAN6, 80) == f"lan {HOST6}"
    assert routed.data.ask(LAN, 80) == f"lan {DATA}"


def test_containers_that_are_kept_apart_reach_what_they_are_linked_to(site: Site, engine: Engine) -> None:
    ports = [port["ifname"] for port in site.host.ip("link", "show", "master", "one")]
    for port in ports:
        site.host.run("ip", "link", "set", port, "type", "bridge_slave", "isolated", "on")
    try:
        engine.open(changed(site.one, icc=False))
        for machine in (site.web, site.shop):
            machine.run("ip", "neigh", "flush", "all")
        assert not site.web.reaches(SHOP, 80)
        assert site.web.ask(LAN, 80) == f"lan {HOST}"
        link = Link(WEB, SHOP, "tcp", 80)
        engine.firewall.keep_links([WEB], [link])
        assert site.web.ask(SHOP, 80) == f"shop {WEB}"
        assert not site.shop.reaches(WEB, 80)
        assert not site.web.reaches(SHOP, 80, protocol="udp")
        engine.firewall.keep_links([SHOP], [])  # as when another gets the address
        assert not site.web.reaches(SHOP, 80)
    finally:
        for port in ports:
            site.host.run("ip", "link", "set", port, "type", "bridge_slave", "isolated", "off")


def test_nothing_is_left_after_the_last_network(site: Site, engine: Engine) -> None:
    devices = site.host.run("ip", "-o", "link")
    site.host.run("nft", "add", "table", "ip", "theirs")
    before = site.host.rules()
    engine.open(site.one, site.two)
    engine.publish(Port("tcp", "", 8080, WEB, 80, bridge="one"))
    engine.firewall.close_zone(site.one)
    assert "table inet orlop" in site.host.rules()
    engine.firewall.close_zone(site.two)
    engine.firewall.close_zone(site.two)
    assert site.host.rules() == before
    assert site.host.run("ip", "-o", "link") == devices


def test_forwarding_is_switched_on_and_routers_are_listened_to_as_before(site: Site, engine: Engine) -> None:
    site.host.write("/proc/sys/net/ipv4/ip_forward", "0")
    site.host.write("/proc/sys/net/ipv6/conf/all/forwarding", "0")
    site.host.write("/proc/sys/net/ipv6/conf/eth0/accept_ra", "1")
    engine.open(site.one)
    assert site.host.run("cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert site.host.run("cat", "/proc/sys/net/ipv6/conf/all/forwarding") == "1\n"
    assert site.host.run("cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra") == "2\n"
    assert site.host.run("cat", "/proc/sys/net/ipv6/conf/one/accept_ra") == "0\n"


# What dockerd's and libvirt's daemons lay, by the program that they lay it with.
DOCKER = """*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
"""
LIBVIRT = """*filter
:LIBVIRT_FWI - [0:0]
:LIBVIRT_FWO - [0:0]
:LIBVIRT_FWX - [0:0]
-A FORWARD -j LIBVIRT_FWX
-A FORWARD -j LIBVIRT_FWI
-A FORWARD -j LIBVIRT_FWO
-A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT
-A LIBVIRT_FWO -i virbr0 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT
COMMIT
"""


@pytest.mark.parametrize("program", ["iptables-nft-restore", "iptables-legacy-restore"])
def test_docker_and_libvirt_can_be_beside(site: Site, engine: Engine, program: str) -> None:
    try:
        for rules in (DOCKER, LIBVIRT):
            site.host.run(program, "--noflush", text=rules)
        theirs = site.host.run(program.replace("-restore", "-save"))
        engine.open(site.one, site.two)
        engine.publish(Port("tcp", "", 8080, WEB, 80, bridge="one"))
        assert site.lan.ask(HOST, 8080) == f"web {LAN}"
        assert site.host.ask("127.0.0.1", 8080) == "web 10.1.0.1"
        assert site.web.ask(LAN, 80) == f"lan {HOST}"
        assert not site.web.reaches(DATA, 80)
        accepted, passed = engine.firewall.lost()
        assert accepted == passed > 0
        engine.firewall.clear()
        now = site.host.run(program.replace("-restore", "-save"))
        assert [line for line in now.split("\n") if line.startswith("-A")] == [
            line for line in theirs.split("\n") if line.startswith("-A")
        ]
    finally:
        for table in ("nat", "filter"):
            for change in ("-F", "-X"):
                site.host.run(program.replace("-restore", ""), "-t", table, change)


@contextmanager
def dockerd(site: Site, directory: Path) -> Iterator[None]:
    """A real daemon on the host, with the rules that it makes."""
    if not shutil.which("dockerd"):
        pytest.skip("dockerd is not installed")
    address = f"--host=unix://{directory}/docker.sock"
    options = [f"--data-root={directory}/data", f"--exec-root={directory}/exec", f"--pidfile={directory}/pid"]
    daemon = site.host.start("dockerd", address, *options, "--storage-driver=vfs", "--log-level=fatal")
    try:
        while subprocess.run(["docker", address, "version"], capture_output=True, check=False).returncode:
            assert daemon.poll() is None
            time.sleep(0.05)
        yield
    finally:
        daemon.terminate()
        daemon.wait()
        site.host.run("ip", "link", "delete", "docker0", check=False)
        site.host.run("iptables", "-P", "FORWARD", "ACCEPT")


def test_a_real_dockerd_can_come_before_or_after(site: Site, engine: Engine, short_directory: Path) -> None:
    published = Port("tcp", "", 8080, WEB, 80, bridge="one")
    site.host.write("/proc/sys/net/ipv4/ip_forward", "1")
    with dockerd(site, short_directory):
        engine.open(site.one, site.two)
        engine.publish(published)
        assert site.lan.ask(HOST, 8080) == f"web {LAN}"
        assert site.web.ask(LAN, 80) == f"lan {HOST}"
        assert not site.web.reaches(DATA, 80)
    with dockerd(site, short_directory):
        assert site.lan.ask(HOST, 8080) == f"web {LAN}"
        assert site.host.ask("127.0.0.1", 8080) == "web 10.1.0.1"


def test_a_dockerd_that_had_to_switch_forwarding_on_drops_what_is_not_its_own(
    site: Site, engine: Engine, short_directory: Path
) -> None:
    """Nobody can accept what another drops; it can be told, and there is a place for the user's word."""
    site.host.write("/proc/sys/net/ipv4/ip_forward", "0")
    with dockerd(site, short_directory):
        engine.open(site.one)
        assert not site.web.reaches(LAN, 80)
        accepted, passed = engine.firewall.lost()
        assert accepted > passed == 0
        for direction in ("-i", "-o"):
            site.host.run("iptables", "-I", "DOCKER-USER", direction, "one", "-j", "ACCEPT")
        assert site.web.ask(LAN, 80) == f"lan {HOST}"


def test_a_host_that_drops_what_comes_in_by_default_changes_nothing(site: Site, engine: Engine) -> None:
    site.host.run("nft", "-f", "-", text=DROPPING.format(hook="input"))
    engine.open(site.one)
    engine.publish(Port("tcp", "", 8080, WEB, 80, bridge="one"))
    assert site.lan.ask(HOST, 8080) == f"web {LAN}"
    assert site.web.ask(LAN, 80) == f"lan {HOST}"


DROPPING = """
table inet user {{
    chain drops {{
        type filter hook {hook} priority filter; policy drop;
        ct state established,related accept
        iifname "lo" accept
        icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
    }}
}}
"""


def test_what_a_hosts_own_rules_drop_can_be_told(site: Site, engine: Engine) -> None:
    engine.open(site.one, site.two)
    assert engine.firewall.lost() == (0, 0)
    assert not site.web.reaches(DATA, 80)
    assert engine.firewall.lost() == (0, 0), "what we drop ourselves is not lost"
    assert site.web.ask(LAN, 80) == f"lan {HOST}"
    assert engine.firewall.lost() == (1, 1)
    site.host.run("nft", "-f", "-", text=DROPPING.format(hook="forward"))
    assert not site.web.reaches(LAN, 80)
    accepted, passed = engine.firewall.lost()
    assert accepted > passed == 1
    site.host.run("nft", 'insert rule inet user drops iifname { "one", "two" } accept')
    site.host.run("nft", 'insert rule inet user drops oifname { "one", "two" } accept')
    assert site.web.ask(LAN, 80) == f"lan {HOST}"
    engine.publish(Port("tcp", "", 8080, WEB, 80, bridge="one"))
    assert site.lan.ask(HOST, 8080) == f"web {LAN}"
    assert not site.web.reaches(DATA, 80), "the user's acceptance does not open our networks"


def test_a_table_of_somebody_elses_is_left_alone_whatever_its_name(site: Site, engine: Engine) -> None:
    site.host.run("nft", "add table ip orlop; add chain ip orlop theirs")
    before = site.host.rules()
    theirs = "nftables has a table orlop that is not orlop's"
    with pytest.raises(Conflict, match=theirs):
        engine.firewall.open_zone(site.one)
    with pytest.raises(Conflict, match=theirs):
        engine.firewall.rebuild([site.one], [])
    with pytest.raises(Conflict, match=theirs):
        engine.firewall.clear()
    assert site.host.rules() == before
    site.host.run("nft", "delete", "table", "ip", "orlop")
    engine.open(site.one)


@pytest.mark.parametrize("respect", [False, True])
def test_rules_can_be_saved_and_loaded_by_nft_and_are_made_anew_after_another_start_of_the_machine(
    site: Site, *, respect: bool
) -> None:
    """Who keeps all rules for the next start keeps ours as well: then they must load, and must do no harm."""
    made = Engine(site, "orlop", respect=respect)
    try:
        made.open(site.one, site.two)
        made.publish(
            *(Port(protocol, "", 8080, WEB, 80, bridge="one") for protocol in ("tcp", "udp", "sctp")),
            Port("tcp", HOST, 8081, WEB, 80, source="192.0.2.0/24"),
            Port("tcp", "", 8082, WEB, 80, interface="eth0"),
            Port("tcp", "::", 8082, WEB6, 80, source="fd00::/16"),
        )
        saved = site.host.rules()
        site.host.run("nft", "flush", "ruleset")
        site.host.run("nft", "-f", "-", text=saved)
        assert site.host.rules() == saved
        assert made.firewall.is_whole()
        for port in (8080, 8081):
            assert site.lan.ask(HOST, port) == f"web {LAN}"
        assert site.lan.ask(HOST6, 8082) == f"web {LAN6}"
        site.host.serve("host", 9000 + respect)
        assert site.lan.ask(HOST, 9000 + respect) == f"host {LAN}", "what is not ours is left alone"
        for device in ("eth9", "eth0"):
            # Names of devices that are not there when the rules are loaded must not keep anybody's from being loaded.
            site.host.run("nft", "-c", "-f", "-", text=saved.replace('"eth0"', f'"{device}"'))
        with Machine() as another:
            another.run("nft", "-f", "-", text=saved)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        site.host.run("nft", "flush", "ruleset")
        site.host.run("nft", "-f", "-", text=saved.replace(boot, "00000000"))
        assert not made.firewall.is_whole()
        made.firewall.rebuild([site.one], [])
        assert made.firewall.is_whole()
        assert '"two"' not in site.host.rules()
    finally:
        made.end()


CHURN = """
import os, sys
sys.path.insert(0, sys.argv[1])
from orlop.errors import Conflict
from orlop.network.firewall.firewall import Firewall, FirewallGone
from orlop.network.firewall.port import Port
from orlop.network.firewall.zone import Zone
number = int(sys.argv[2])
zone = Zone(f"net{number}", [f"10.{number}.0.0/24", f"fd00:b{number}::/64"])
firewall = Firewall("orlop")
for _ in range(int(sys.argv[3])):
    firewall.open_zone(zone)
    ports = [Port("tcp", "", 10000 + number * 10 + each, f"10.{number}.0.2", 80) for each in range(10)]
    firewall.publish(ports)
    assert firewall.is_whole()
    firewall.unpublish(ports)
    firewall.close_zone(zone)
"""


def churn(site: Site, number: int, rounds: int) -> subprocess.Popen[bytes]:
    source = os.path.dirname(os.path.dirname(sys.modules["orlop"].__file__ or ""))
    return subprocess.Popen(
        site.host.command(sys.executable, "-I", "-S", "-c", CHURN, source, str(number), str(rounds))
    )


def test_networks_come_and_go_at_the_same_time(site: Site) -> None:
    started = [churn(site, number, 15) for number in range(20, 26)]
    assert [each.wait(timeout=100) for each in started] == [0] * 6
    assert site.host.rules() == ""


def test_whoever_is_killed_leaves_whole_tables_that_the_next_one_clears(site: Site) -> None:
    firewall = Firewall("orlop", namespace=site.host.namespace)
    try:
        for delay in range(4):
            killed = churn(site, 20, 10000)
            while not firewall.is_whole():
                pass
            for _ in range(delay * 20):
                firewall.is_whole()
            killed.send_signal(signal.SIGKILL)
            killed.wait()
            assert firewall.is_whole() or site.host.rules() == ""
            firewall.open_zone(Zone("net20", ["10.20.0.0/24", "fd00:b20::/64"]))
            assert firewall.is_whole()
            firewall.close_zone(Zone("net20", ["10.20.0.0/24", "fd00:b20::/64"]))
            assert site.host.rules() == ""
    finally:
        firewall.close()
