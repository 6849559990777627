"""Whether an engine's tables are as they were laid: asked with one message at each start of a container.

There are two shapes where the host's rules are respected: what `respect` adds comes with the first port that is published,
since it takes longer than everything else together.
"""

from __future__ import annotations

import os

from orlop.linux.netlink import text
from orlop.linux.nftables import listing, message
from orlop.linux.nftables.message import INET, IPV4, IPV6
from orlop.network.firewall import filtering, respect, translation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Netlink

#: No or other tables; what a packet comes by in any case; that and what respect needs.
BROKEN = 0
PLAIN = 1
RESPECTING = 2

_ENOENT = 2


def families() -> tuple[int, ...]:
    """Which families addresses of this machine are of."""
    return (IPV4, IPV6) if os.path.isdir("/proc/sys/net/ipv6") else (IPV4,)


def look(netlink: Netlink, table: str, *, respectful: bool) -> int:
    """The shape of an engine's tables."""
    name = text(1, table)
    plain = _rules({})
    respecting = _rules(respect.FURTHER) if respectful else plain
    steps = [("nftables: look at table", message.kind(message.GETTABLE), 0, message.head(INET) + name, (_ENOENT,))]
    for family, chain in respecting:
        body = message.head(family) + name + text(3, chain)
        steps.append(("nftables: look at chain", message.kind(message.GETCHAIN), 0, body, (_ENOENT,)))
    found = netlink.run(steps)
    if len(found) <= len(plain) or listing.comment_of_table(found[0]) != filtering.comment(respectful=respectful):
        return BROKEN
    there = {(family, chain): rules for family, chain, rules in map(listing.chain, found[1:])}
    if there == plain:
        return PLAIN
    return RESPECTING if there == respecting else BROKEN


def is_respecting(netlink: Netlink, table: str) -> bool:
    """Whether what respect needs is laid."""
    body = message.head(IPV4) + text(1, table) + text(3, respect.CHAIN)
    step = ("nftables: look at chain", message.kind(message.GETCHAIN), 0, body, (_ENOENT,))
    return bool(netlink.run([step]))


def _rules(further: dict[str, int]) -> dict[tuple[int, str], int]:
    """How many rules are in every base chain."""
    found = {(INET, chain): rules for chain, rules in filtering.BASE_CHAINS.items()}
    for family in families():
        base = translation.BASE_CHAINS[family]
        for chain in {**base, **further}:
            found[family, chain] = base.get(chain, 0) + further.get(chain, 0)
    return found
