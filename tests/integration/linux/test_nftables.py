"""Rules that are made by netlink are what nft(8) then lists."""

from __future__ import annotations

import _socket
import json
from typing import TYPE_CHECKING, Any

import pytest

from orlop.linux import conntrack
from orlop.linux.nftables import expression, listing, transaction, types
from orlop.linux.nftables.message import INET, IPV4, IPV6
from orlop.linux.nftables.transaction import Element, Transaction, interval
from orlop.linux.nftables.types import Verdict
from tests.machine import Machine, cable

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine() as made:
        yield made


def ipv4(text: str) -> bytes:
    return _socket.inet_pton(_socket.AF_INET, text)


def listed(machine: Machine, kind: str) -> list[dict[str, Any]]:
    found = json.loads(machine.run("nft", "-j", "list", "ruleset"))["nftables"]
    return [each[kind] for each in found if kind in each]


def port_key(protocol: int, address: str, port: int) -> bytes:
    return types.joined(bytes((protocol,)), ipv4(address), port.to_bytes(2, "big"))


def test_a_table_with_chains_sets_and_rules_reads_as_it_was_meant(machine: Machine) -> None:
    change = Transaction(machine.netfilter, INET, "mine")
    change.add_table("ours")
    change.add_base_chain("in", "nat", transaction.PREROUTING, -100)
    change.add_base_chain("through", "filter", transaction.FORWARD, 0)
    change.add_base_chain("out", "nat", transaction.POSTROUTING, 100)
    change.add_chain("ports")
    change.add_chain("inside")
    key = (types.PROTOCOL, types.IPV4_ADDRESS, types.SERVICE)
    change.add_set("published", *key, value=(types.IPV4_ADDRESS, types.SERVICE))
    change.add_set("bridges", types.INTERFACE_NAME, verdicts=True)
    change.add_set("subnets", types.IPV4_ADDRESS, intervals=True)
    change.add_set("limited", types.IPV4_ADDRESS, types.SERVICE, intervals=True)
    change.add_set("seen", types.IPV6_ADDRESS, timeout=5000, dynamic=True, size=100)
    change.add_counter("first")
    target = types.joined(ipv4("10.0.0.2"), (80).to_bytes(2, "big"))
    change.add_elements("published", [Element(port_key(6, "192.0.2.1", 8080), target)])
    change.add_elements("bridges", [Element(types.interface_name("orlop0"), Verdict("inside", for_good=True))])
    change.add_elements("subnets", interval(ipv4("10.0.0.0"), ipv4("10.0.255.255")))
    change.add_elements("subnets", interval(ipv4("255.0.0.0"), ipv4("255.255.255.255")))
    change.add_elements(
        "limited",
        [Element(types.joined(ipv4("10.1.0.0"), b"\0\x50"), last=types.joined(ipv4("10.1.0.255"), b"\0\x51"))],
    )
    change.add_rule(
        "in",
        expression.fib_type(expression.FIB_DESTINATION),
        expression.compare(expression.TYPE_LOCAL.to_bytes(4, "little")),
        expression.verdict(expression.JUMP, "ports"),
        comment="for us",
    )
    change.add_rule(
        "ports",
        expression.meta(expression.META_FAMILY),
        expression.compare(bytes((IPV4,))),
        expression.meta(expression.META_PROTOCOL, 0),
        expression.ipv4_destination(1),
        expression.destination_port(2),
        expression.lookup("published", 0, into=0),
        expression.dnat(IPV4, 0, 1),
    )
    change.add_rule(
        "through",
        expression.ct(expression.CT_STATE),
        expression.mask(expression.STATE_ESTABLISHED | expression.STATE_RELATED),
        expression.compare(bytes(4), expression.NOT_EQUAL),
        expression.count_in("first"),
        expression.verdict(expression.ACCEPT),
    )
    change.add_rule("through", expression.meta(expression.META_OUTPUT_NAME), expression.lookup_verdict("bridges"))
    change.add_rule("through", expression.counter(), expression.reject())
    change.add_rule(
        "out",
        expression.meta(expression.META_FAMILY),
        expression.compare(bytes((IPV4,))),
        expression.ipv4_source(),
        expression.lookup("subnets"),
        expression.masquerade(),
    )
    change.add_rule(
        "out",
        expression.meta(expression.META_FAMILY),
        expression.compare(bytes((IPV6,))),
        expression.ipv6_source(),
        expression.remember("seen"),
        expression.verdict(expression.DROP),
    )
    change.commit()
    text = machine.rules()
    for wanted in (
        "type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service",
        "elements = { tcp . 192.0.2.1 . 8080 : 10.0.0.2 . 80 }",
        'elements = { "orlop0" : goto inside }',
        "elements = { 10.0.0.0/16, 255.0.0.0/8 }",
        "elements = { 10.1.0.0/24 . 80-81 }",
        "type nat hook prerouting priority dstnat; policy accept;",
        'fib daddr type local jump ports comment "for us"',
        "dnat ip to meta l4proto . ip daddr . th dport map @published",
        'ct state established,related counter name "first" accept',
        "oifname vmap @bridges",
        "counter packets 0 bytes 0 reject",
        "ip saddr @subnets masquerade",
        "update @seen { ip6 saddr } drop",
        "timeout 5s",
    ):
        assert wanted in text, text
    found = listing.table(machine.netfilter, INET, "mine")
    assert found
    assert found.comment == "ours"
    assert set(listing.chains(machine.netfilter, INET, "mine")) == {"in", "through", "out", "ports", "inside"}
    assert len(listing.rules(machine.netfilter, INET, "mine")["through"]) == 3
    [element] = listing.elements(machine.netfilter, INET, "mine", "published")
    assert (element.key, element.value) == (port_key(6, "192.0.2.1", 8080), target)
    [element] = listing.elements(machine.netfilter, INET, "mine", "limited")
    assert element.last == types.joined(ipv4("10.1.0.255"), b"\0\x51")
    assert listing.counter(machine.netfilter, INET, "mine", "first") == 0


def test_all_of_a_transaction_is_done_or_nothing(machine: Machine) -> None:
    change = Transaction(machine.netfilter, INET, "mine")
    change.add_table()
    change.add_chain("there")
    change.delete_chain("not there")
    change.add_chain("after")
    with pytest.raises(FileNotFoundError, match=r"nftables: delete chain not there \(table mine\): No such file"):
        change.commit()
    assert machine.rules() == ""
    assert listing.table(machine.netfilter, INET, "mine") is None
    change.add_table()
    change.commit()
    assert [each.name for each in listing.tables(machine.netfilter)] == ["mine"]


def test_a_transaction_can_be_refused_when_somebody_was_faster(machine: Machine) -> None:
    generation = listing.generation(machine.netfilter)
    machine.run("nft", "add", "table", "ip", "theirs")
    change = Transaction(machine.netfilter, INET, "mine")
    change.add_table()
    with pytest.raises(OSError, match="nftables: add table mine") as refused:
        change.commit(generation)
    assert refused.value.errno == 85  # ERESTART
    change.add_table()
    change.commit(listing.generation(machine.netfilter))
    assert "table inet mine" in machine.rules()


def test_elements_come_and_go_without_a_rule_being_touched(machine: Machine) -> None:
    change = Transaction(machine.netfilter, INET, "mine")
    change.add_table()
    change.add_set("published", types.PROTOCOL, types.IPV4_ADDRESS, types.SERVICE, value=(types.IPV4_ADDRESS,))
    change.commit()
    elements = [Element(port_key(17, "192.0.2.1", port), ipv4("10.0.0.2")) for port in range(20000)]
    for _ in range(2):
        change.add_elements("published", elements)
    change.commit()
    assert len(listing.elements(machine.netfilter, INET, "mine", "published")) == 20000
    change.add_elements("published", [Element(port_key(17, "192.0.2.1", 5), ipv4("10.0.0.3"))])
    with pytest.raises(FileExistsError, match="nftables: add elements to published"):
        change.commit()
    change.delete_elements("published", elements[:19999])
    change.commit()
    assert "udp . 192.0.2.1 . 19999 : 10.0.0.2" in machine.rules()
    change.delete_elements("published", elements)
    with pytest.raises(FileNotFoundError, match="nftables: delete elements of published"):
        change.commit()
    change.flush_set("published")
    change.delete_table()
    change.commit()
    assert machine.rules() == ""


def test_a_connection_can_be_forgotten(machine: Machine) -> None:
    with Machine() as other:
        cable(machine, "eth0", "192.0.2.1/24", other, "eth0", "192.0.2.2/24")
        machine.run("nft", "add table ip watch; add chain ip watch every { type filter hook output priority 0; }")
        machine.run("nft", "add rule ip watch every ct state new accept")
        machine.run("busybox", "ping", "-c1", "192.0.2.2")
        assert conntrack.connections(machine.netfilter, _socket.AF_INET, answered_by="192.0.2.3") == []
        [found] = conntrack.connections(machine.netfilter, _socket.AF_INET, answered_by="192.0.2.2")
        assert (found.original.protocol, found.original.source) == (_socket.IPPROTO_ICMP, "192.0.2.1")
        assert found.reply.destination == "192.0.2.1"
        for _ in range(2):
            found.forget(machine.netfilter)
        assert conntrack.connections(machine.netfilter, _socket.AF_INET) == []
