"""The words that rules are made of: each function returns one expression, encoded.

An expression reads registers and writes registers, of which there are sixteen of four bytes, numbered from 0 here; a longer
value fills several. A rule is a list of expressions and ends as soon as one does not match.
Sources: linux/netfilter/nf_tables.h, nft(8).
"""

from __future__ import annotations

import sys

from orlop.linux.netlink import attribute, nest, text
from orlop.linux.nftables.message import LIST_ELEMENT, be32, be64, value
from orlop.linux.nftables.message import verdict as _verdict

DROP = 0
ACCEPT = 1
CONTINUE = -1
JUMP = -3
GOTO = -4
RETURN = -5

META_MARK = 3
META_INPUT_INDEX = 4
META_OUTPUT_INDEX = 5
META_INPUT_NAME = 6
META_OUTPUT_NAME = 7
META_FAMILY = 15  # NFPROTO_*
META_PROTOCOL = 16  # IPPROTO_*

CT_STATE = 0
CT_DIRECTION = 1
CT_STATUS = 2
CT_MARK = 3

STATE_INVALID = 1
STATE_ESTABLISHED = 2
STATE_RELATED = 4
STATE_NEW = 8
STATE_UNTRACKED = 64
STATUS_DNAT = 0x20

EQUAL = 0
NOT_EQUAL = 1

LINK_HEADER = 0
NETWORK_HEADER = 1
TRANSPORT_HEADER = 2

FIB_SOURCE = 1
FIB_DESTINATION = 2
FIB_INPUT = 8
TYPE_LOCAL = 2  # RTN_LOCAL

PORT_UNREACHABLE = 1
ADMINISTRATIVELY_PROHIBITED = 3

_EXPR_NAME = 1
_EXPR_DATA = 2
_FIRST_REGISTER = 8
_FIB_RESULT_ADDRTYPE = 3
_SNAT = 0
_DNAT = 1
_REJECT_ICMPX = 2
_REJECT_RESET = 1
_LOOKUP_INVERTED = 1
_DYNSET_UPDATE = 1
_OBJECT_COUNTER = 1
_CHECKSUM_INTERNET = 1
_SOCKET_TRANSPARENT = 0


def meta(key: int, register: int = 0) -> bytes:
    """Load what is known of a packet, ``META_*``."""
    return _expression("meta", _register(1, register) + be32(2, key))


def set_mark(register: int = 0) -> bytes:
    """Make a packet's mark what a register has."""
    return _expression("meta", be32(2, META_MARK) + _register(3, register))


def is_transparent(register: int = 0) -> bytes:
    """Load, as one byte, whether the socket that a packet is for may have any address (IP_TRANSPARENT, ip(7))."""
    return _expression("socket", be32(1, _SOCKET_TRANSPARENT) + _register(2, register))


def ct(key: int, register: int = 0) -> bytes:
    """Load what is known of a packet's connection, ``CT_*``; does not match where it has none."""
    return _expression("ct", _register(1, register) + be32(2, key))


def payload(base: int, offset: int, length: int, register: int = 0) -> bytes:
    """Load a part of a packet's header; does not match if the packet does not have it."""
    return _expression("payload", _register(1, register) + be32(2, base) + be32(3, offset) + be32(4, length))


def store(base: int, offset: int, length: int, checksum: int, register: int = 0) -> bytes:
    """Write a part of a packet's header, and make good the checksum, of the Internet's kind, that is at ``checksum``."""
    data = be32(2, base) + be32(3, offset) + be32(4, length) + _register(5, register)
    return _expression("payload", data + be32(6, _CHECKSUM_INTERNET) + be32(7, checksum))


def ipv4_source(register: int = 0) -> bytes:
    """Load the source address of an IPv4 packet."""
    return payload(NETWORK_HEADER, 12, 4, register)


def ipv4_destination(register: int = 0) -> bytes:
    """Load the destination address of an IPv4 packet."""
    return payload(NETWORK_HEADER, 16, 4, register)


def ipv6_source(register: int = 0) -> bytes:
    """Load the source address of an IPv6 packet."""
    return payload(NETWORK_HEADER, 8, 16, register)


def ipv6_destination(register: int = 0) -> bytes:
    """Load the destination address of an IPv6 packet."""
    return payload(NETWORK_HEADER, 24, 16, register)


def source_port(register: int = 0) -> bytes:
    """Load the source port of TCP, UDP, SCTP and others that have it in the same place."""
    return payload(TRANSPORT_HEADER, 0, 2, register)


def destination_port(register: int = 0) -> bytes:
    """Load the destination port, as `source_port`."""
    return payload(TRANSPORT_HEADER, 2, 2, register)


def fib_type(flags: int, register: int = 0) -> bytes:
    """Load what kind of address the routes say it is (RTN_*): whose, say ``FIB_*``."""
    return _expression("fib", _register(1, register) + be32(2, _FIB_RESULT_ADDRTYPE) + be32(3, flags))


def compare(data: bytes, operation: int = EQUAL, register: int = 0) -> bytes:
    """Match if a register has this."""
    return _expression("cmp", _register(1, register) + be32(2, operation) + nest(3, value(data)))


def mask(bits: int, register: int = 0) -> bytes:
    """Keep those bits of a register's number, which is in the machine's own order."""
    return and_mask(bits.to_bytes(4, sys.byteorder), register)


def and_mask(data: bytes, register: int = 0) -> bytes:
    """Keep those bits of a register."""
    return _expression(
        "bitwise",
        _register(1, register)
        + _register(2, register)
        + be32(3, len(data))
        + nest(4, value(data))
        + nest(5, value(bytes(len(data)))),
    )


def immediate(data: bytes, register: int = 0) -> bytes:
    """Load this."""
    return _expression("immediate", _register(1, register) + nest(2, value(data)))


def verdict(code: int, chain: str = "") -> bytes:
    """End the rule with a verdict; JUMP and GOTO need a chain."""
    return _expression("immediate", be32(1, 0) + nest(2, _verdict(code, chain)))


def lookup(set_name: str, register: int = 0, *, into: int = -1, inverted: bool = False) -> bytes:
    """Match if a set has what the registers have. Of a map the value is loaded into the register ``into``."""
    data = text(1, set_name) + _register(2, register)
    if into >= 0:
        data += _register(3, into)
    if inverted:
        data += be32(5, _LOOKUP_INVERTED)
    return _expression("lookup", data)


def lookup_verdict(map_name: str, register: int = 0) -> bytes:
    """Do what a verdict map says of what the registers have; does not match if it says nothing."""
    return _expression("lookup", text(1, map_name) + _register(2, register) + be32(3, 0))


def remember(set_name: str, register: int = 0) -> bytes:
    """Add what the registers have to a dynamic set, for the set's own time, which starts anew if it is there already."""
    return _expression("dynset", text(1, set_name) + be32(3, _DYNSET_UPDATE) + _register(4, register))


def dnat(family: int, address_register: int, port_register: int = -1) -> bytes:
    """Send the connection to the address and port that the registers have."""
    return _nat(_DNAT, family, address_register, port_register)


def snat(family: int, address_register: int) -> bytes:
    """Let the connection come from the address that the register has."""
    return _nat(_SNAT, family, address_register, -1)


def masquerade() -> bytes:
    """Let the connection come from the address of the device that it leaves by."""
    return _expression("masq", b"")


def redirect(port_register: int) -> bytes:
    """Send the connection to a port of this machine."""
    return _expression("redir", _register(1, port_register))


def duplicate(address_register: int) -> bytes:
    """Send a copy of the packet to where the routes lead to an address. Not in tables of family INET."""
    return _expression("dup", _register(1, address_register))


def forward(device_register: int) -> bytes:
    """Send the packet out of a device as it is, from a chain at a device's ingress."""
    return _expression("fwd", _register(1, device_register))


def counter() -> bytes:
    """Count packets and bytes."""
    return _expression("counter", be64(1, 0) + be64(2, 0))


def count_in(name: str) -> bytes:
    """Count packets and bytes in a counter that has a name."""
    return _expression("objref", be32(1, _OBJECT_COUNTER) + text(2, name))


def limit(rate: int, seconds: int = 1, burst: int = 5) -> bytes:
    """Match only so often."""
    return _expression("limit", be64(1, rate) + be64(2, seconds) + be32(3, burst) + be32(4, 0) + be32(5, 0))


def reject(code: int = PORT_UNREACHABLE) -> bytes:
    """Drop the packet and tell its sender by ICMP, of either family."""
    return _expression("reject", be32(1, _REJECT_ICMPX) + attribute(2, bytes((code,))))


def reset() -> bytes:
    """Drop a TCP packet and tell its sender by a reset."""
    return _expression("reject", be32(1, _REJECT_RESET))


def _nat(kind: int, family: int, address_register: int, port_register: int) -> bytes:
    data = be32(1, kind) + be32(2, family) + _register(3, address_register)
    if port_register >= 0:
        data += _register(5, port_register)
    return _expression("nat", data)


def _register(kind: int, register: int) -> bytes:
    return be32(kind, _FIRST_REGISTER + register)


def _expression(name: str, data: bytes) -> bytes:
    return nest(LIST_ELEMENT, text(_EXPR_NAME, name), nest(_EXPR_DATA, data))
