"""Where a container asks: two sockets in its network namespace that are the resolver's.

Containers are told to ask 127.0.0.11, port 53. The sockets have other ports of that address, so that a program in the
container can have port 53 of every address for itself. In between is a table of nftables in the container's namespace,
which writes the other port into packets on their way there, and 53 into those on their way back; nothing is tracked
for that, so that all other traffic of the container is as quick as without.

The sockets take only what comes by the loopback device: nobody else asks there, whatever the container routes.
"""

from __future__ import annotations

import _socket
import os
import sys

from orlop.linux import namespace as namespaces
from orlop.linux.netlink import NETLINK_NETFILTER, Netlink
from orlop.linux.nftables import expression
from orlop.linux.nftables.transaction import OUTPUT, Transaction

#: What containers are told to ask.
ADDRESS = "127.0.0.11"
PORT = 53

_DEVICE = b"lo"
_IP_FREEBIND = 15  # linux/in.h
_BACKLOG = 64
_LOOPBACK = (1).to_bytes(4, sys.byteorder)  # the index of lo, which every namespace is born with
#: Not a name that an engine in the container would give its own.
_TABLE = "orlop_names"
_CHAIN = "names"
_RAW = -300  # before anybody tracks connections
_SOURCE_PORT, _DESTINATION_PORT = 0, 2  # bytes from the beginning of the header


def open_in(namespace: int) -> tuple[int, int]:
    """Descriptors of a socket for UDP and of one for TCP, at which what is asked in a network namespace arrives.

    The caller has one thread, and is in its own namespace again afterwards.

    Raises:
        OSError: the namespace cannot be entered, or the kernel lacks nftables.
    """
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        namespaces.join(namespace, namespaces.CLONE_NEWNET)
        try:
            return open_here()
        finally:
            namespaces.join(own, namespaces.CLONE_NEWNET)
    finally:
        os.close(own)


def open_here() -> tuple[int, int]:
    """What `open_in` does, in the network namespace that the caller is in.

    Raises:
        OSError: the kernel lacks nftables.
    """
    opened: list[_socket.socket] = []
    try:
        opened.append(_open(_socket.SOCK_DGRAM))
        opened.append(_open(_socket.SOCK_STREAM))
        opened[1].listen(_BACKLOG)
        with Netlink(protocol=NETLINK_NETFILTER) as netlink:
            redirect(netlink, *(each.getsockname()[1] for each in opened))
    except BaseException:
        for each in opened:
            each.close()
        raise
    return opened[0].detach(), opened[1].detach()


def _open(kind: int) -> _socket.socket:
    made = _socket.socket(_socket.AF_INET, kind | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(_socket.SOL_SOCKET, _socket.SO_BINDTODEVICE, _DEVICE)
        made.setsockopt(_socket.IPPROTO_IP, _IP_FREEBIND, 1)  # the device may not be up yet
        made.bind((ADDRESS, 0))
    except BaseException:
        made.close()
        raise
    return made


def redirect(netlink: Netlink, udp: int, tcp: int) -> None:
    """Make the table, for sockets with these ports.

    Raises:
        OSError: the kernel lacks nftables.
    """
    rules = Transaction(netlink, _socket.AF_INET, _TABLE)
    rules.add_table()
    rules.add_base_chain(_CHAIN, "filter", OUTPUT, _RAW)
    rules.add_rule(_CHAIN, _LEAVES)
    for (there, sets_destination, back, sets_source), port in zip(_REWRITING, (udp, tcp), strict=True):
        number = port.to_bytes(2, "big")
        rules.add_rule(_CHAIN, there, expression.immediate(number), sets_destination)
        rules.add_rule(_CHAIN, back, expression.compare(number), sets_source)
    rules.commit()


def _rewriting(protocol: int, checksum: int) -> tuple[bytes, ...]:
    """All of two rules but the port: what goes to `PORT` of our address gets another port, and what comes from that, ours.

    ``checksum`` is where the protocol's header has its own.
    """
    ours = expression.compare(_socket.inet_aton(ADDRESS))
    is_of_protocol = expression.meta(expression.META_PROTOCOL) + expression.compare(bytes((protocol,)))
    port = PORT.to_bytes(2, "big")
    header = expression.TRANSPORT_HEADER
    return (
        is_of_protocol
        + (expression.ipv4_destination() + ours)
        + (expression.destination_port() + expression.compare(port)),
        expression.store(header, _DESTINATION_PORT, 2, checksum),
        is_of_protocol + (expression.ipv4_source() + ours) + expression.source_port(),
        expression.immediate(port) + expression.store(header, _SOURCE_PORT, 2, checksum),
    )


#: What leaves the container is through with us after one look.
_LEAVES = (
    expression.meta(expression.META_OUTPUT_INDEX)
    + expression.compare(_LOOPBACK, expression.NOT_EQUAL)
    + expression.verdict(expression.ACCEPT)
)
_REWRITING = (_rewriting(_socket.IPPROTO_UDP, 6), _rewriting(_socket.IPPROTO_TCP, 16))
