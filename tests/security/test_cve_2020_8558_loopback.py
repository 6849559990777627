"""CVE-2020-8558: where the kernel is told to route 127.0.0.0/8, neighbours and containers reached services of the host's that
listen there only. Published ports on 127.0.0.1 need that for their network's bridge; also, such ports were open to neighbours
who sent packets for 127.0.0.1 to the host (moby's fix of 2025).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from orlop.network.firewall.firewall import Firewall
from orlop.network.firewall.port import Port
from orlop.network.firewall.zone import Zone
from tests.machine import Machine, cable

if TYPE_CHECKING:
    from collections.abc import Iterator


class Attack:
    """A host with a service on 127.0.0.1, a container and a neighbour, both of which send packets for 127.0.0.1 to it."""

    def __init__(self, *, respect: bool) -> None:
        self.host, self.neighbour, self.container = Machine(), Machine(), Machine()
        self.host.run("ip", "link", "add", "orlop0", "type", "bridge")
        self.host.run("ip", "link", "set", "orlop0", "up")
        self.host.run("ip", "addr", "add", "10.1.0.1/24", "dev", "orlop0")
        cable(self.host, "eth0", "192.0.2.1/24", self.neighbour, "eth0", "192.0.2.2/24")
        cable(self.host, "port", "", self.container, "eth0", "10.1.0.2/24")
        self.host.run("ip", "link", "set", "port", "master", "orlop0")
        self.container.serve("container", 80)
        self.service = self.host.inside(socket.socket)
        self.service.bind(("127.0.0.1", 5000))
        self.service.listen()
        for attacker, gateway in ((self.neighbour, "192.0.2.1"), (self.container, "10.1.0.1")):
            attacker.run("ip", "route", "add", "default", "via", gateway)
            attacker.write("/proc/sys/net/ipv4/conf/all/route_localnet", "1")
            attacker.run("ip", "addr", "flush", "dev", "lo")
            attacker.run("ip", "route", "add", "127.0.0.0/8", "via", gateway)
        self.firewall = Firewall("orlop", respect=respect, namespace=self.host.namespace)
        self.guard()

    def guard(self) -> None:
        port = Port("tcp", "127.0.0.1", 8080, "10.1.0.2", 80, bridge="orlop0")
        self.firewall.rebuild([Zone("orlop0", ["10.1.0.0/24"])], [port])

    def end(self) -> None:
        self.firewall.close()
        self.service.close()
        for machine in (self.host, self.neighbour, self.container):
            machine.end()


@pytest.fixture(scope="module", params=[False, True], ids=["open", "respect"])
def attack(request: pytest.FixtureRequest) -> Iterator[Attack]:
    made = Attack(respect=request.param)
    yield made
    made.end()


def connects(machine: Machine, address: str, port: int, patience: float = 0.4) -> bool:
    with machine.inside(socket.socket) as client:
        client.settimeout(patience)
        try:
            client.connect((address, port))
        except OSError:
            return False
        return True


def test_a_container_does_not_reach_what_listens_on_the_hosts_loopback(attack: Attack) -> None:
    assert connects(attack.host, "127.0.0.1", 5000, 15)
    assert attack.host.ask("127.0.0.1", 8080) == "container 10.1.0.1"
    assert not connects(attack.container, "127.0.0.1", 5000)
    # It is the guard that keeps it away, not a mistake of this test.
    attack.host.run("nft", "flush", "chain", "ip", "orlop", "guard")
    assert connects(attack.container, "127.0.0.1", 5000, 15)
    attack.guard()
    assert not connects(attack.container, "127.0.0.1", 5000)


def test_a_neighbour_reaches_neither_that_nor_ports_that_are_published_there(attack: Attack) -> None:
    assert not connects(attack.neighbour, "127.0.0.1", 5000)
    assert not connects(attack.neighbour, "127.0.0.1", 8080)
    assert not connects(attack.neighbour, "192.0.2.1", 8080)
    assert attack.host.ask("127.0.0.1", 8080) == "container 10.1.0.1"


def test_only_the_bridge_that_a_port_needs_it_for_routes_loopback(attack: Attack) -> None:
    for device, wanted in (("all", "0"), ("default", "0"), ("eth0", "0"), ("orlop0", "1")):
        assert attack.host.run("cat", f"/proc/sys/net/ipv4/conf/{device}/route_localnet") == f"{wanted}\n"
