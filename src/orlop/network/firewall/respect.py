"""``firewall = "respect"``: who is not of this machine uses a published port only if the host's own rules let it in.

Nobody's rules are read for it. The first packet of a connection is left as it is, so that it comes by all rules for
what is meant for the host itself. Behind the last of them it is remembered, dropped, and a copy of it comes in a second
time by a pair of devices that leads nowhere else. As it is remembered where it is meant to go, it is translated now, and all
that follows it. If the copy is lost (``rp_filter`` of "all" is 1, or the host's rules for output do not let it through)
the client's next attempt, a second later, is what is translated.
"""

from __future__ import annotations

import _blake2
import _socket
import os

from orlop.errors import Unsupported
from orlop.linux import neighbour, network_device, route, veth
from orlop.linux.nftables import expression as e
from orlop.linux.nftables import transaction, types
from orlop.linux.nftables.message import IPV4, IPV6
from orlop.network.firewall.port import PROTOCOLS, packed
from orlop.network.firewall.translation import by_device, lookups, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Netlink
    from orlop.linux.nftables.transaction import Transaction

#: Base chains → how many rules they have more than without.
FURTHER = {"prerouting": 1, "input": 3}
#: That of them which is there only then.
CHAIN = "input"
#: What the names of sets begin with that have the same keys as the maps of published ports. (nft(8) does not list that a
#: rule looks into a map without using what it finds.)
ASKED = "asked_"
#: The map of ports for a device by the mark that a copy of a packet has, and that of devices to marks.
BY_MARK = "by_mark"
MARKS = "marks"

_AFTER_ALL = 2147483646
_REMEMBERED = 5000  # milliseconds: longer than a client waits before it tries again
_MOST = 1 << 18
_EEXIST = 17
_IS_NEW = (e.ct(e.CT_STATE), e.mask(e.STATE_NEW), e.compare(bytes(4), e.NOT_EQUAL))


def names(table: str) -> tuple[str, str]:
    """The pair of devices of an engine: by which packets go out, and by which they come in again."""
    short = table.replace("orlop", "orl", 1)
    return f"{short}-o", f"{short}-i"


def other_end(table: str, family: int) -> str:
    """The address of nobody's to which an engine's routes lead by its pair of devices."""
    part = _blake2.blake2s(table.encode(), digest_size=4).digest()
    if family == IPV6:
        return f"fd6f:726c:6f70::{part[:2].hex()}:{part[2:].hex()}"
    return _socket.inet_ntop(_socket.AF_INET, bytes((240 | part[0] & 7, *part[1:])))


def make_loop(netlink: Netlink, table: str) -> None:
    """Make the pair of devices in the caller's network namespace, if it is not there."""
    out, back = names(table)
    try:
        veth.create(netlink, out, back)
    except OSError as error:
        if error.errno != _EEXIST:
            raise
    there = network_device.get(netlink, out)
    other = network_device.get(netlink, back)
    if there is None or other is None:
        raise Unsupported(f"network devices {out} and {back}: somebody removed them while they were made")
    if there.is_up:
        return
    with netlink.batch() as batch:
        for index in (other.index, there.index):
            network_device.change(batch, index, up=True, link_local=False)
        for family in (IPV4, IPV6) if _speaks_ipv6(out) else (IPV4,):
            address = other_end(table, family)
            neighbour.add(batch, there.index, address, other.mac)
            route.add(batch, f"{address}/{128 if family == IPV6 else 32}", device=there.index, replace=True)
    # What comes in by it has the addresses of clients that the routes lead to elsewhere.
    descriptor = os.open(f"/proc/sys/net/ipv4/conf/{back}/rp_filter", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"0")
    finally:
        os.close(descriptor)


def _speaks_ipv6(device: str) -> bool:
    """Whether IPv6 is neither absent from the kernel nor switched off."""
    try:
        descriptor = os.open(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return os.read(descriptor, 1) == b"0"
    finally:
        os.close(descriptor)


def has_loop(netlink: Netlink, table: str) -> bool:
    """Whether the pair of devices is there and switched on."""
    there = network_device.get(netlink, names(table)[0])
    return there is not None and there.is_up


def remove_loop(netlink: Netlink, table: str) -> None:
    """Remove the pair of devices, if it is there."""
    network_device.delete(netlink, names(table)[0])


def lay(change: Transaction, family: int, table: str) -> None:
    """The rules of one family, upon those of `translation.lay`, if they are not there yet."""
    address = types.IPV6_ADDRESS if family == IPV6 else types.IPV4_ADDRESS
    wide = size(family)
    target = (address, types.SERVICE)
    limits = (types.PROTOCOL, address, types.SERVICE, address)
    change.add_set(f"{ASKED}anywhere", types.PROTOCOL, types.SERVICE)
    change.add_set(f"{ASKED}published", types.PROTOCOL, address, types.SERVICE)
    change.add_set(f"{ASKED}limited", *limits, intervals=True)
    change.add_set(f"{ASKED}by_device", *limits, types.INTERFACE_NAME, intervals=True)
    change.add_set(MARKS, types.INTERFACE_NAME, value=(types.MARK,))
    change.add_set(BY_MARK, *limits, types.MARK, value=target, intervals=True)
    change.add_set("admitted", *limits, types.SERVICE, timeout=_REMEMBERED, dynamic=True, size=_MOST)
    change.add_base_chain(CHAIN, "filter", transaction.INPUT, _AFTER_ALL)
    change.add_chain("ask")
    for chain in (CHAIN, "ask"):
        change.flush_chain(chain)
    source, destination = (e.ipv6_source, e.ipv6_destination) if family == IPV6 else (e.ipv4_source, e.ipv4_destination)
    packet = (
        e.meta(e.META_PROTOCOL, 0),
        source(1),
        e.source_port(1 + wide),
        destination(2 + wide),
        e.destination_port(2 + 2 * wide),
    )
    change.add_rule("prerouting", *packet, e.lookup("admitted"), e.verdict(e.JUMP, "ports"))
    # By which device the copy's original came is what its mark says.
    again = (e.meta(e.META_INPUT_NAME), e.compare(types.interface_name(names(table)[1])))
    for protocol in PROTOCOLS.values():
        of_protocol = (*again, e.meta(e.META_PROTOCOL), e.compare(bytes((protocol,))))
        find = by_device(family, e.META_MARK, BY_MARK, into=0)
        change.add_rule("ports", *of_protocol, *find, e.dnat(family, 0, wide))
    change.add_rule(CHAIN, e.meta(e.META_INPUT_NAME), e.compare(types.interface_name("lo")), e.verdict(e.RETURN))
    change.add_rule(CHAIN, e.meta(e.META_INPUT_NAME), e.lookup("bridges"), e.verdict(e.RETURN))
    change.add_rule(CHAIN, *_IS_NEW, e.verdict(e.JUMP, "ask"))
    admit = (
        *packet,
        e.remember("admitted"),
        e.immediate(packed(family, other_end(table, family))),
        e.duplicate(0),
        e.verdict(e.DROP),
    )
    mark = (e.meta(e.META_INPUT_NAME), e.lookup(MARKS, into=0), e.set_mark())
    for name, find in lookups(family, ASKED):
        change.add_rule("ask", *find, *(mark if name == "by_device" else ()), *admit)
