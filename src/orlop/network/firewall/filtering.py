"""What may pass: the rules of an engine's table of family inet.

Each network has two chains, for what comes from its bridge and for what goes to it, which maps lead to by the bridge's name.
A packet that belongs to a connection passes at once, and no container has a rule of its own: the hundredth costs what the
first did.

``forward`` comes before other people's rules and ``last`` after them: the difference between what they count is
what others dropped (`Firewall.lost`).
"""

from __future__ import annotations

import os

from orlop.linux.nftables import expression as e
from orlop.linux.nftables import transaction, types
from orlop.linux.nftables.message import IPV4, IPV6
from orlop.linux.nftables.transaction import Element
from orlop.linux.nftables.types import Verdict
from orlop.network.firewall.zone import ROUTED, UNPROTECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.nftables.transaction import Transaction
    from orlop.network.firewall.zone import Zone

#: What begins the comment of each of an engine's tables.
MAKER = "orlop "

_BOOT = "/proc/sys/kernel/random/boot_id"

#: The base chains → how many rules are in them.
BASE_CHAINS = {"forward": 5, "last": 1}

_BEFORE_FILTER = -10
_AFTER_ALL = 2147483646
_FAMILY = e.meta(e.META_FAMILY)
_IS_IPV4 = (_FAMILY, e.compare(bytes((IPV4,))))
_IS_IPV6 = (_FAMILY, e.compare(bytes((IPV6,))))
_FROM_US = (e.meta(e.META_INPUT_NAME), e.lookup("bridges"))
_TO_US = (e.meta(e.META_OUTPUT_NAME), e.lookup("bridges"))


def _state(states: int) -> tuple[bytes, ...]:
    return e.ct(e.CT_STATE), e.mask(states), e.compare(bytes(4), e.NOT_EQUAL)


_IS_NEW = _state(e.STATE_NEW)
_IS_KNOWN = _state(e.STATE_ESTABLISHED | e.STATE_RELATED)
_IS_INVALID = _state(e.STATE_INVALID)
#: The first packet of a connection that somebody's rules sent here: a published port's.
_IS_PUBLISHED = (
    e.ct(e.CT_STATUS),
    e.mask(e.STATUS_DNAT),
    e.compare(bytes(4), e.NOT_EQUAL),
    e.ct(e.CT_DIRECTION),
    e.compare(b"\0"),
)
_ACCEPT = e.verdict(e.ACCEPT)
_DROP = e.verdict(e.DROP)
_RETURN = e.verdict(e.RETURN)


def comment(*, respectful: bool) -> str:
    """The comment of each of an engine's tables: whose it is, how it is laid, and since which start of the machine.

    Who saves all rules to have them again after the next start has saved ours as well, which mean nothing then.
    """
    descriptor = os.open(_BOOT, os.O_RDONLY | os.O_CLOEXEC)
    try:
        boot = os.read(descriptor, 8).decode()
    finally:
        os.close(descriptor)
    return f"{MAKER}1 {'respect' if respectful else 'open'} {boot}"


def lay(change: Transaction, *, respectful: bool) -> None:
    """The part that does not depend on networks."""
    change.add_table(comment(respectful=respectful))
    change.add_counter("accepted")
    change.add_counter("passed")
    change.add_set("bridges", types.INTERFACE_NAME)
    change.add_set("from", types.INTERFACE_NAME, verdicts=True)
    change.add_set("to", types.INTERFACE_NAME, verdicts=True)
    for family, address in ((4, types.IPV4_ADDRESS), (6, types.IPV6_ADDRESS)):
        change.add_set(f"links{family}", address, address, types.PROTOCOL, types.SERVICE)
        change.add_set(f"open{family}", address, types.PROTOCOL, types.SERVICE)
    change.add_base_chain("forward", "filter", transaction.FORWARD, _BEFORE_FILTER)
    change.add_base_chain("last", "filter", transaction.FORWARD, _AFTER_ALL)
    change.add_chain("new")
    for chain in (*BASE_CHAINS, "new"):
        change.flush_chain(chain)
    change.add_rule("forward", *_IS_KNOWN, _ACCEPT)
    change.add_rule("forward", e.meta(e.META_INPUT_NAME), e.lookup_verdict("from"))
    change.add_rule("forward", e.meta(e.META_OUTPUT_NAME), e.lookup_verdict("to"))
    change.add_rule("last", *_IS_NEW, e.verdict(e.JUMP, "new"))
    for ours in (_FROM_US, _TO_US):
        # What a network's chains do not drop they return from.
        change.add_rule("forward", *_IS_NEW, *ours, e.count_in("accepted"), _ACCEPT)
        change.add_rule("new", *ours, e.count_in("passed"), _ACCEPT)


def open_zone(change: Transaction, zone: Zone) -> None:
    """The part of one network; what there was of it before is replaced."""
    name = types.interface_name(zone.bridge)
    inwards, outwards = f"to-{zone.bridge}", f"from-{zone.bridge}"
    for chain in (inwards, outwards):
        change.add_chain(chain)
        change.flush_chain(chain)
    _outwards(change, zone, outwards, name)
    _inwards(change, zone, inwards, name)
    change.add_elements("bridges", [Element(name)])
    change.add_elements("from", [Element(name, Verdict(outwards))])
    change.add_elements("to", [Element(name, Verdict(inwards))])


def close_zone(change: Transaction, zone: Zone) -> None:
    """Take the part of a network away, which may be there or not."""
    open_zone(change, zone)
    name = types.interface_name(zone.bridge)
    for each in ("bridges", "from", "to"):
        change.delete_elements(each, [Element(name)])
    for chain in (f"to-{zone.bridge}", f"from-{zone.bridge}"):
        change.flush_chain(chain)
        change.delete_chain(chain)


def _outwards(change: Transaction, zone: Zone, chain: str, name: bytes) -> None:
    elsewhere = (e.meta(e.META_OUTPUT_NAME), e.compare(name, e.NOT_EQUAL))
    if zone.internal:
        change.add_rule(chain, *elsewhere, _DROP)
        return
    if zone.masquerade:
        # Nobody translates its source address, so that nobody can answer it.
        change.add_rule(chain, *elsewhere, *_IS_INVALID, _DROP)


def _inwards(change: Transaction, zone: Zone, chain: str, name: bytes) -> None:
    def accept(*conditions: bytes) -> None:
        change.add_rule(chain, *conditions, _RETURN)

    inside = (e.meta(e.META_INPUT_NAME), e.compare(name))
    if zone.icc:
        accept(*inside)
    else:
        for family, is_of, source, destination, size in _ADDRESSES:
            key = (source, destination, e.meta(e.META_PROTOCOL, 2 * size), e.destination_port(2 * size + 1))
            accept(*is_of, *inside, *key, e.lookup(f"links{family}"))
        change.add_rule(chain, *inside, _DROP)
    if not zone.internal:
        for device in zone.trusted:
            accept(e.meta(e.META_INPUT_NAME), e.compare(types.interface_name(device)))
        accept(*_IS_PUBLISHED)
        for mode, (family, is_of, _, _, size) in zip((zone.mode4, zone.mode6), _ADDRESSES, strict=True):
            if mode == UNPROTECTED:
                accept(*is_of)
            elif mode == ROUTED:
                address = e.ipv6_destination() if family == 6 else e.ipv4_destination()
                opened = (address, e.meta(e.META_PROTOCOL, size), e.destination_port(size + 1))
                accept(*is_of, *opened, e.lookup(f"open{family}"))
                accept(*is_of, e.meta(e.META_PROTOCOL), e.compare(_ICMPV6 if family == 6 else _ICMP))
    change.add_rule(chain, _DROP)


_ICMP = b"\x01"
_ICMPV6 = b"\x3a"
#: Of each family: its name in names of sets, what matches it, its two addresses in registers, and their size there.
_ADDRESSES = (
    (4, _IS_IPV4, e.ipv4_source(0), e.ipv4_destination(1), 1),
    (6, _IS_IPV6, e.ipv6_source(0), e.ipv6_destination(4), 4),
)
