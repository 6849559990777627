"""Which addresses become which: the rules of an engine's tables of families ip and ip6.

Published ports are elements of four maps, and each is in one of them only:

- ``anywhere``: on all addresses of the host's; ``published``: on one. These cost the same however many there are.
- ``limited``: for one source network; ``by_device``: for one of the host's devices. Their keys are intervals.

The host's own programs and containers of the engine always use them. Whether others do is `respect`'s to say, if the
host's rules for what comes in are to be respected.
"""

from __future__ import annotations

import sys

from orlop.linux.nftables import expression as e
from orlop.linux.nftables import transaction, types
from orlop.linux.nftables.message import IPV4, IPV6
from orlop.linux.nftables.transaction import Element, interval
from orlop.linux.nftables.types import Verdict
from orlop.network.firewall.filtering import comment
from orlop.network.firewall.port import PROTOCOLS, network, packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.nftables.transaction import Transaction
    from orlop.network.firewall.zone import Zone

#: The base chains → how many rules are in them, by family.
BASE_CHAINS = {
    IPV4: {"guard": 2, "prerouting": 2, "output": 1, "postrouting": 2},
    IPV6: {"prerouting": 1, "output": 2, "postrouting": 1},
}

_RAW = -300
_DSTNAT = -100
_SRCNAT = 100
_IPV4_LOOPBACK = (e.and_mask(b"\xff\0\0\0"), e.compare(b"\x7f\0\0\0"))
_IPV6_LOOPBACK = (e.compare(bytes(15) + b"\x01"),)
_IS_TRANSLATED = (e.ct(e.CT_STATUS), e.mask(e.STATUS_DNAT), e.compare(bytes(4), e.NOT_EQUAL))
_RETURN = e.verdict(e.RETURN)
_PROTOCOL = e.meta(e.META_PROTOCOL, 0)

#: What matches a packet to an address of this machine's.
TO_THIS_MACHINE = (e.fib_type(e.FIB_DESTINATION), e.compare(e.TYPE_LOCAL.to_bytes(4, sys.byteorder)))


def lay(change: Transaction, family: int, *, respectful: bool) -> None:
    """The part that depends on no network; ``respectful`` leaves it to `respect` what comes from elsewhere."""
    address = types.IPV6_ADDRESS if family == IPV6 else types.IPV4_ADDRESS
    destination = e.ipv6_destination() if family == IPV6 else e.ipv4_destination()
    target = (address, types.SERVICE)
    limits = (types.PROTOCOL, address, types.SERVICE, address)
    change.add_table(comment(respectful=respectful))
    change.add_set("bridges", types.INTERFACE_NAME)
    change.add_set("sources", address, verdicts=True, intervals=True)
    change.add_set("by_device", *limits, types.INTERFACE_NAME, value=target, intervals=True)
    change.add_set("limited", *limits, value=target, intervals=True)
    change.add_set("published", types.PROTOCOL, address, types.SERVICE, value=target)
    change.add_set("anywhere", types.PROTOCOL, types.SERVICE, value=target)
    change.add_base_chain("prerouting", "nat", transaction.PREROUTING, _DSTNAT)
    change.add_base_chain("output", "nat", transaction.OUTPUT, _DSTNAT)
    change.add_base_chain("postrouting", "nat", transaction.POSTROUTING, _SRCNAT)
    if family == IPV4:
        change.add_base_chain("guard", "filter", transaction.PREROUTING, _RAW)
    change.add_chain("ports")
    for chain in (*BASE_CHAINS[family], "ports"):
        change.flush_chain(chain)
    if family == IPV4:
        # With route_localnet the kernel takes such packets from the bridge. No honest one has these addresses before
        # its destination is translated back (CVE-2020-8558).
        for load in (e.ipv4_destination(), e.ipv4_source()):
            from_us = (e.meta(e.META_INPUT_NAME), e.lookup("bridges"))
            change.add_rule("guard", load, *_IPV4_LOOPBACK, *from_us, e.verdict(e.DROP))
        # Who sends such a packet from elsewhere means a port that is on 127.0.0.1 so that nobody can.
        change.add_rule("prerouting", destination, *_IPV4_LOOPBACK, _RETURN)
        change.add_rule("postrouting", *_to_us(e.ipv4_source(), *_IPV4_LOOPBACK), e.masquerade())
    else:
        # The kernel takes ::1 to and from the loopback device only: a proxy's.
        change.add_rule("output", destination, *_IPV6_LOOPBACK, _RETURN)
    trusted = (e.meta(e.META_INPUT_NAME), e.lookup("bridges")) if respectful else ()
    change.add_rule("prerouting", *trusted, *TO_THIS_MACHINE, e.verdict(e.JUMP, "ports"))
    change.add_rule("output", *TO_THIS_MACHINE, e.verdict(e.JUMP, "ports"))
    for _, find in lookups(family, "", into=0):
        change.add_rule("ports", *find, e.dnat(family, 0, size(family)))
    source = e.ipv6_source() if family == IPV6 else e.ipv4_source()
    change.add_rule("postrouting", source, e.lookup_verdict("sources"))


def size(family: int) -> int:
    """How many registers an address fills."""
    return 4 if family == IPV6 else 1


def lookups(family: int, prefix: str, *, into: int = -1) -> list[tuple[str, tuple[bytes, ...]]]:
    """For each map by its name what looks a packet up in it, or in the set that has its name behind a ``prefix``.

    Of maps it loads the container's address and port into registers from ``into`` on.
    """
    whole = _whole(family)
    source = e.ipv6_source if family == IPV6 else e.ipv4_source
    found = [
        ("anywhere", (_PROTOCOL, e.destination_port(1), e.lookup(f"{prefix}anywhere", into=into))),
        ("published", (*whole, e.lookup(f"{prefix}published", into=into))),
    ]
    for protocol in PROTOCOLS.values():
        # nft(8) could not load what it lists without: it wants to know that there are ports if keys are intervals.
        of_protocol = (_PROTOCOL, e.compare(bytes((protocol,))))
        limited = (*whole, source(2 + size(family)), e.lookup(f"{prefix}limited", into=into))
        found.append(("limited", (*of_protocol, *limited)))
        for_device = by_device(family, e.META_INPUT_NAME, f"{prefix}by_device", into=into)
        found.append(("by_device", (*of_protocol, *for_device)))
    return found


def by_device(family: int, key: int, name: str, *, into: int = -1) -> tuple[bytes, ...]:
    """What looks a packet up in a map or set; ``META_*`` ``key`` says what tells the device."""
    wide = size(family)
    source = e.ipv6_source if family == IPV6 else e.ipv4_source
    return (*_whole(family), source(2 + wide), e.meta(key, 2 + 2 * wide), e.lookup(name, into=into))


def _whole(family: int) -> tuple[bytes, ...]:
    destination = e.ipv6_destination if family == IPV6 else e.ipv4_destination
    return _PROTOCOL, destination(1), e.destination_port(1 + size(family))


def open_zone(change: Transaction, family: int, zone: Zone) -> None:
    """The part of one network; what there was of it before is replaced."""
    name = types.interface_name(zone.bridge)
    chain = f"from-{zone.bridge}"
    change.add_chain(chain)
    change.flush_chain(chain)
    inside = (e.meta(e.META_OUTPUT_NAME), e.compare(name))
    # From one container by the host's address to another on the same bridge: the answer has to come back here.
    change.add_rule(chain, *inside, *_IS_TRANSLATED, e.masquerade())
    mode, given = (zone.mode6, zone.source6) if family == IPV6 else (zone.mode4, zone.source4)
    if zone.masquerade and not zone.internal and mode.startswith("nat"):
        change.add_rule(chain, *inside, _RETURN)
        # The container on the other network sees who is asking, since its answer comes this way anyway.
        change.add_rule(chain, *_to_us(*_IS_TRANSLATED), _RETURN)
        if given:
            change.add_rule(chain, e.immediate(packed(family, given)), e.snat(family, 0))
        else:
            change.add_rule(chain, e.masquerade())
    change.add_elements("bridges", [Element(name)])
    for elements in _sources(family, zone, chain):
        change.add_elements("sources", elements)


def close_zone(change: Transaction, family: int, zone: Zone) -> None:
    """Take the part of a network away, which may be there or not."""
    open_zone(change, family, zone)
    change.delete_elements("bridges", [Element(types.interface_name(zone.bridge))])
    for elements in _sources(family, zone, f"from-{zone.bridge}"):
        change.delete_elements("sources", elements)
    change.flush_chain(f"from-{zone.bridge}")
    change.delete_chain(f"from-{zone.bridge}")


def _sources(family: int, zone: Zone, chain: str) -> list[list[Element]]:
    return [
        interval(*network(subnet), Verdict(chain)) for subnet in zone.subnets if (":" in subnet) == (family == IPV6)
    ]


def _to_us(*conditions: bytes) -> tuple[bytes, ...]:
    return (*conditions, e.meta(e.META_OUTPUT_NAME), e.lookup("bridges"))
