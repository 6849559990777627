"""A site: a host with two networks of containers, and a neighbour on its LAN."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from orlop.network.firewall import forwarding
from orlop.network.firewall.firewall import Firewall
from orlop.network.firewall.zone import Zone
from tests.machine import Machine, cable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.network.firewall.port import Port

HOST = "192.0.2.1"
HOST6 = "fd00:2::1"
LAN = "192.0.2.2"
LAN6 = "fd00:2::2"

_numbers = itertools.count()


class Site:
    """The machines.

    ``web`` (10.1.0.2) and ``shop`` (10.1.0.3) are on the network ``one``, ``data`` (10.2.0.2) is on ``two``; they have the
    same last parts in fd00:a1:: and fd00:a2::, and serve port 80. ``lan`` serves port 80 too.
    """

    def __init__(self) -> None:
        self.host = Machine()
        self.lan = Machine()
        cable(self.host, "eth0", f"{HOST}/24", self.lan, "eth0", f"{LAN}/24")
        for machine, address in ((self.host, HOST6), (self.lan, LAN6)):
            machine.run("ip", "addr", "add", f"{address}/64", "dev", "eth0", "nodad")
        self.one = self.network("one", 1)
        self.two = self.network("two", 2)
        self.web = self.container("one", 1, 2)
        self.shop = self.container("one", 1, 3)
        self.data = self.container("two", 2, 2)
        self.lan.serve("lan", 80)
        for name in ("web", "shop", "data"):
            getattr(self, name).serve(name, 80)

    def network(self, bridge: str, number: int) -> Zone:
        """A bridge with addresses."""
        self.host.run("ip", "link", "add", bridge, "type", "bridge")
        self.host.run("ip", "link", "set", bridge, "up")
        self.host.run("ip", "addr", "add", f"10.{number}.0.1/24", "dev", bridge)
        self.host.run("ip", "addr", "add", f"fd00:a{number}::1/64", "dev", bridge, "nodad")
        return Zone(bridge, [f"10.{number}.0.0/24", f"fd00:a{number}::/64"])

    def container(self, bridge: str, number: int, last: int) -> Machine:
        """A machine on a bridge, with routes to everywhere."""
        made = Machine()
        port = f"port{next(_numbers)}"
        cable(self.host, port, "", made, "eth0", f"10.{number}.0.{last}/24")
        self.host.run("ip", "link", "set", port, "master", bridge)
        if self.host.inside(forwarding.bridges_call_rules):
            self.host.run("ip", "link", "set", port, "type", "bridge_slave", "hairpin", "on")
        made.run("ip", "addr", "add", f"fd00:a{number}::{last}/64", "dev", "eth0", "nodad")
        made.run("ip", "route", "add", "default", "via", f"10.{number}.0.1")
        made.run("ip", "route", "add", "default", "via", f"fd00:a{number}::1")
        return made

    def end(self) -> None:
        """End all machines."""
        for machine in (self.host, self.lan, self.web, self.shop, self.data):
            machine.end()


class Engine:
    """An engine's firewall that is cleared away in the end."""

    def __init__(self, site: Site, table: str, *, respect: bool = False) -> None:
        self.firewall = Firewall(table, respect=respect, namespace=site.host.namespace)

    def open(self, *zones: Zone) -> None:
        """Have the firewall know networks."""
        for zone in zones:
            self.firewall.open_zone(zone)

    def publish(self, *ports: Port) -> None:
        """Publish ports."""
        self.firewall.publish(list(ports))

    def end(self) -> None:
        """Clear everything away."""
        self.firewall.clear()
        self.firewall.close()


@pytest.fixture(scope="module")
def machines() -> Iterator[Site]:
    made = Site()
    yield made
    made.end()


@pytest.fixture
def site(machines: Site) -> Iterator[Site]:
    """The machines, on whose host there is no rule."""
    yield machines
    for name in ("all", "eth0", "one", "two"):
        machines.host.write(f"/proc/sys/net/ipv4/conf/{name}/route_localnet", "0")
    machines.host.run("nft", "flush", "ruleset")
    machines.host.run("conntrack", "-F", check=False)


@pytest.fixture
def engine(site: Site) -> Iterator[Engine]:
    made = Engine(site, "orlop")
    yield made
    made.end()


@pytest.fixture
def other_engine(site: Site) -> Iterator[Engine]:
    made = Engine(site, "orlop-1a2b3c4d")
    yield made
    made.end()


@pytest.fixture
def respectful(site: Site) -> Iterator[Engine]:
    made = Engine(site, "orlop", respect=True)
    yield made
    made.end()
