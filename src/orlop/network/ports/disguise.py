"""Connections that the proxy makes in its clients' names, where an ordinary user's networks are.

A socket there may have any address for its own (IP_TRANSPARENT, ip(7)), so that the container sees whom it talks to. What
it answers would leave for that client then; so packets that belong to such a socket are marked, and what is marked stays.
Source: Documentation/networking/tproxy.rst.
"""

from __future__ import annotations

import _socket
import sys

from orlop.linux import network_device, route, route_rule
from orlop.linux.netlink import NETLINK_NETFILTER, Netlink
from orlop.linux.nftables import expression as e
from orlop.linux.nftables import listing
from orlop.linux.nftables.message import INET
from orlop.linux.nftables.transaction import PREROUTING, Transaction

_TABLE = "orlop-disguise"
_CHAIN = "stays"
_MANGLE = -150  # after connections are tracked, and before addresses are translated
_MARK = 0x6F726C70
_ROUTES = 100
_LOOPBACK = ("127.", "::1", "fe80:")
_IP_TRANSPARENT = 19
_IPV6_TRANSPARENT = 75
_IP_BIND_ADDRESS_NO_PORT = 24


def prepare() -> None:
    """Have the caller's network namespace keep what belongs to such sockets.

    Raises:
        OSError: the kernel lacks what that takes.
    """
    with Netlink() as netlink:
        loopback = network_device.find(netlink, "lo") or 0
        for family, everything in ((_socket.AF_INET, "0.0.0.0/0"), (_socket.AF_INET6, "::/0")):
            route_rule.add(netlink, family, mark=_MARK, table=_ROUTES)
            route.add(netlink, everything, device=loopback, kind=route.LOCAL, table=_ROUTES, replace=True)
    with Netlink(protocol=NETLINK_NETFILTER) as netlink:
        change = Transaction(netlink, INET, _TABLE)
        change.add_table()
        change.add_base_chain(_CHAIN, "filter", PREROUTING, _MANGLE)
        mark = e.immediate(_MARK.to_bytes(4, sys.byteorder))
        change.add_rule(_CHAIN, e.is_transparent(), e.compare(b"\1"), mark, e.set_mark())
        change.commit()


def is_prepared() -> bool:
    """Whether that was done where the caller is."""
    try:
        with Netlink(protocol=NETLINK_NETFILTER) as netlink:
            return listing.table(netlink, INET, _TABLE) is not None
    except OSError:
        return False


def is_possible(client: str, family: int) -> bool:
    """Whether a socket of a family can have a client's address: one of the same family by which answers come back."""
    return (family == _socket.AF_INET6) == (":" in client) and not client.startswith(_LOOPBACK)


def put_on(made: _socket.socket, client: str) -> None:
    """Have a socket be at a client's address.

    Raises:
        OSError: it cannot be had.
    """
    if made.family == _socket.AF_INET6:
        made.setsockopt(_socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
    else:
        made.setsockopt(_socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
    made.setsockopt(_socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    made.bind((client, 0))
