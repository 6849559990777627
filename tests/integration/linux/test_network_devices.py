"""Devices, addresses, routes and neighbours, made by netlink in network namespaces of the test's own and read by ip(8)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orlop.linux import bridge, macvlan, neighbour, network_address, network_device, route, veth, vxlan
from orlop.linux.netlink import Netlink
from tests.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

MAC = bytes.fromhex("02420a000001")


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine() as made:
        yield made


@pytest.fixture
def other() -> Iterator[Machine]:
    with Machine() as made:
        yield made


def test_a_pair_is_born_with_one_end_in_another_namespace_under_its_last_name(machine: Machine, other: Machine) -> None:
    bridge.create(machine.netlink, "br0", mac=MAC, up=True)
    index = network_device.find(machine.netlink, "br0")
    assert index
    mac = bytes.fromhex("02420a000002")
    veth.create(
        machine.netlink,
        "left",
        "eth0",
        master=index,
        up=True,
        mtu=1400,
        peer_mac=mac,
        peer_process=other.pid,
    )
    network_device.set_up(other.netlink, "eth0")
    [left] = machine.ip("link", "show", "left")
    assert left["master"] == "br0"
    assert left["mtu"] == 1400
    assert left["num_tx_queues"] == left["num_rx_queues"] == 1  # so the kernel had none to take away, which takes long
    [right] = other.ip("link", "show", "eth0")
    assert right["num_tx_queues"] == right["num_rx_queues"] == 1
    assert right["address"] == "02:42:0a:00:00:02"
    assert right["operstate"] == "UP"
    known = network_device.get(other.netlink, "eth0")
    assert known
    assert (known.kind, known.mac, known.is_up, known.link) == ("veth", mac, True, left["ifindex"])
    assert [each.name for each in network_device.devices(machine.netlink, master=index)] == ["left"]


def test_a_batch_does_all_its_steps_with_one_message(machine: Machine, other: Machine) -> None:
    with machine.netlink.batch() as batch:
        bridge.create(batch, "br0", mac=MAC, mtu=1450, multicast_snooping=False)
        network_device.set_up(batch, "lo")
        network_device.change(batch, "br0", link_local=False)
        network_device.set_up(batch, "br0")
        veth.create(batch, "left", "eth0", peer_namespace=other.namespace)
    [made] = machine.ip("link", "show", "br0")
    assert made["mtu"] == 1450
    assert made["linkinfo"]["info_data"]["mcast_snooping"] == 0
    assert [each["local"] for each in machine.ip("addr", "show", "lo")[0]["addr_info"]] == ["127.0.0.1", "::1"]
    assert machine.ip("addr", "show", "br0")[0]["addr_info"] == []


def test_an_error_in_a_batch_names_its_step_and_the_kernels_reason(machine: Machine) -> None:
    batch = machine.netlink.batch()
    bridge.create(batch, "br0")
    bridge.create(batch, "br0")
    route.add(batch, "10.0.0.0/8", gateway="10.1.2.3")
    with pytest.raises(FileExistsError, match="create bridge br0: File exists"):
        batch.send()
    assert network_device.find(machine.netlink, "br0"), "the other steps are done"
    with pytest.raises(OSError, match=r"add route to 10.0.0.0/8 via 10.1.2.3: Network is unreachable \(Nexthop has"):
        route.add(machine.netlink, "10.0.0.0/8", gateway="10.1.2.3")


def test_what_is_not_there_need_not_be_removed(machine: Machine) -> None:
    network_device.set_up(machine.netlink, "lo")
    network_device.delete(machine.netlink, "none")
    network_address.remove(machine.netlink, 1, "10.0.0.1", 8)
    network_address.remove(machine.netlink, 1, "fd00::1", 64)
    route.remove(machine.netlink, "10.0.0.0/8")
    route.remove(machine.netlink, "fd00::/8", device=1)
    neighbour.remove(machine.netlink, 1, "10.0.0.1")
    assert network_device.get(machine.netlink, "none") is None
    assert network_device.statistics(machine.netlink, "none") is None


def test_addresses_can_be_used_at_once_and_are_listed(machine: Machine) -> None:
    bridge.create(machine.netlink, "br0", up=True)
    index = network_device.find(machine.netlink, "br0")
    assert index
    with machine.netlink.batch() as batch:
        for _ in range(2):
            network_address.add(batch, index, "10.9.0.1", 16)
            network_address.add(batch, index, "fd00:9::1", 64)
    found = machine.ip("addr", "show", "br0")[0]["addr_info"]
    known = [(each["local"], each["prefixlen"], each.get("broadcast")) for each in found if each["scope"] == "global"]
    assert known == [("10.9.0.1", 16, "10.9.255.255"), ("fd00:9::1", 64, None)]
    assert not any(each.get("tentative") for each in found if each["scope"] == "global")
    listed = [(each.text, each.prefix) for each in network_address.addresses(machine.netlink) if each.device == index]
    assert ("10.9.0.1", 16) in listed
    assert ("fd00:9::1", 64) in listed
    network_address.remove(machine.netlink, index, "10.9.0.1", 16)
    assert "10.9.0.1" not in [each.text for each in network_address.addresses(machine.netlink, index)]


def test_routes_of_both_families_are_added_listed_replaced_and_removed(machine: Machine) -> None:
    bridge.create(machine.netlink, "br0", up=True)
    index = network_device.find(machine.netlink, "br0")
    assert index
    with machine.netlink.batch() as batch:
        network_address.add(batch, index, "10.9.0.1", 16)
        network_address.add(batch, index, "fd00:9::1", 64)
        route.add(batch, "0.0.0.0/0", gateway="10.9.0.2", metric=5)
        route.add(batch, "0.0.0.0/0", gateway="10.9.0.3", metric=7)
        route.add(batch, "::/0", gateway="fd00:9::2", device=index)
        route.add(batch, "10.200.0.0/16", device=index, source="10.9.0.1")
        route.add(batch, "10.201.0.0/16", kind=route.UNREACHABLE, table=1000)
        route.add(batch, "10.8.0.0/16", gateway="192.0.2.1", device=index, onlink=True)
    said = {(each["dst"], each.get("metric")): each for each in machine.ip("route")}
    assert said["default", 5]["gateway"] == "10.9.0.2"
    assert said["default", 7]["gateway"] == "10.9.0.3"
    assert said["10.200.0.0/16", None]["prefsrc"] == "10.9.0.1"
    assert said["10.8.0.0/16", None]["flags"] == ["onlink"]
    listed = {(each.destination, each.metric): each for each in route.routes(machine.netlink)}
    assert listed["0.0.0.0/0", 7].gateway == "10.9.0.3"
    assert listed["::/0", 1024].gateway == "fd00:9::2"
    assert listed["10.9.0.0/16", 0].device == index
    assert [each.destination for each in route.routes(machine.netlink, table=1000)] == ["10.201.0.0/16"]
    route.add(machine.netlink, "0.0.0.0/0", gateway="10.9.0.4", metric=5, replace=True)
    route.remove(machine.netlink, "0.0.0.0/0", metric=7)
    left = [each for each in route.routes(machine.netlink) if each.destination == "0.0.0.0/0"]
    assert [each.gateway for each in left] == ["10.9.0.4"]


def test_a_route_with_several_next_hops_is_listed_for_each(machine: Machine) -> None:
    bridge.create(machine.netlink, "br0", up=True)
    index = network_device.find(machine.netlink, "br0")
    assert index
    network_address.add(machine.netlink, index, "10.9.0.1", 16)
    machine.ip("route", "add", "10.7.0.0/16", "nexthop", "via", "10.9.0.2", "nexthop", "via", "10.9.0.3")
    found = [each for each in route.routes(machine.netlink) if each.destination == "10.7.0.0/16"]
    assert [(each.gateway, each.device) for each in found] == [("10.9.0.2", index), ("10.9.0.3", index)]


def test_ports_can_be_kept_from_each_other(machine: Machine) -> None:
    bridge.create(machine.netlink, "br0", up=True, ageing=30)
    index = network_device.find(machine.netlink, "br0")
    assert index
    with machine.netlink.batch() as batch:
        veth.create(batch, "left", "right", master=index, up=True)
        bridge.change_port(batch, "left", isolated=True, hairpin=True, flood=False)
    [port] = machine.ip("link", "show", "left")
    data = port["linkinfo"]["info_slave_data"]
    assert (data["isolated"], data["hairpin"], data["flood"]) == (True, True, False)
    [made] = machine.ip("link", "show", "br0")
    assert made["linkinfo"]["info_data"]["ageing_time"] == 3000
    network_device.change(machine.netlink, "left", master=0, mtu=1300, up=False)
    [port] = machine.ip("link", "show", "left")
    assert "master" not in port
    assert port["mtu"] == 1300
    assert "UP" not in port["flags"]


def test_a_device_that_shares_another_is_born_where_it_belongs(machine: Machine, other: Machine) -> None:
    veth.create(machine.netlink, "left", "right", up=True)
    parent = network_device.find(machine.netlink, "left")
    assert parent
    macvlan.create(machine.netlink, "eth0", parent, "private", mac=MAC, namespace=other.namespace)
    [made] = other.ip("link", "show", "eth0")
    assert made["linkinfo"]["info_data"]["mode"] == "private"
    assert made["address"] == "02:42:0a:00:00:01"
    try:
        macvlan.create_ipvlan(machine.netlink, "eth1", parent, process=other.pid)
    except OSError as error:
        assert error.errno == 95 or "left" in str(error), "this kernel has no ipvlan"
        assert "create ipvlan eth1" in str(error)


def test_two_machines_share_a_network_by_vxlan(machine: Machine, other: Machine) -> None:
    veth.create(machine.netlink, "under", "under", up=True, peer_namespace=other.namespace)
    macs = {}
    for each, address, far in ((machine, "192.0.2.1", "192.0.2.2"), (other, "192.0.2.2", "192.0.2.1")):
        under = network_device.find(each.netlink, "under")
        assert under
        network_device.set_up(each.netlink, under)
        network_address.add(each.netlink, under, address, 24)
        vxlan.create(each.netlink, "over", 42, local=address, learning=False, up=True)
        over = network_device.get(each.netlink, "over")
        assert over
        network_address.add(each.netlink, over.index, address.replace("192.0.2", "10.0.0"), 24)
        neighbour.add_forwarding(each.netlink, over.index, neighbour.ANYBODY, far)
        macs[address] = over
    one, two = macs["192.0.2.1"], macs["192.0.2.2"]
    neighbour.add(machine.netlink, one.index, "10.0.0.2", two.mac)
    neighbour.add_forwarding(machine.netlink, one.index, two.mac, "192.0.2.2")
    machine.run("busybox", "ping", "-c1", "-W10", "10.0.0.2")
    counted = network_device.statistics(machine.netlink, "over")
    assert counted
    assert counted.tx_packets >= 1
    assert counted.tx_bytes >= 84
    neighbour.remove_forwarding(machine.netlink, one.index, two.mac, "192.0.2.2")
    neighbour.remove_forwarding(machine.netlink, one.index, two.mac, "192.0.2.2")
    assert machine.ip("neigh", "show", "10.0.0.2")[0]["state"] == ["PERMANENT"]


def test_a_pidfd_names_the_namespace_as_well(machine: Machine) -> None:
    pidfd = os.pidfd_open(machine.pid)
    try:
        with Netlink(pidfd) as there:
            bridge.create(there, "br7")
    finally:
        os.close(pidfd)
    assert machine.ip("link", "show", "br7")
