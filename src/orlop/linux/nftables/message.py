"""What all messages to nf_tables have in common. Numbers in them are in network byte order.

Sources: linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from orlop.linux.netlink import attribute, nest, text

#: Families of tables, linux/netfilter.h.
INET = 1
IPV4 = 2
IPV6 = 10
NETDEV = 5
BRIDGE = 7

NEWTABLE = 0
GETTABLE = 1
DELTABLE = 2
NEWCHAIN = 3
GETCHAIN = 4
DELCHAIN = 5
NEWRULE = 6
GETRULE = 7
DELRULE = 8
NEWSET = 9
GETSET = 10
DELSET = 11
NEWSETELEM = 12
GETSETELEM = 13
DELSETELEM = 14
GETGEN = 16
NEWOBJ = 18
GETOBJ = 19

_SUBSYSTEM = 10 << 8
_BATCH_BEGIN = 0x10
_BATCH_END = 0x11
_BATCH_GENID = 1

#: Every list is of attributes of this one type.
LIST_ELEMENT = 1

DATA_VALUE = 1
DATA_VERDICT = 2
VERDICT_CODE = 1
VERDICT_CHAIN = 2

_COMMENT = 0  # NFTNL_UDATA_TABLE_COMMENT and NFTNL_UDATA_RULE_COMMENT


def kind(number: int) -> int:
    """A message's type, by its number among those of nf_tables."""
    return _SUBSYSTEM | number


def head(family: int) -> bytes:
    """The fixed start of a message, struct nfgenmsg."""
    return bytes((family, 0, 0, 0))


def be32(attribute_type: int, value: int) -> bytes:
    """An attribute with a number of four bytes."""
    return attribute(attribute_type, value.to_bytes(4, "big"))


def be64(attribute_type: int, value: int) -> bytes:
    """An attribute with a number of eight bytes."""
    return attribute(attribute_type, value.to_bytes(8, "big"))


def opening(generation: int) -> tuple[int, bytes]:
    """The message that a transaction begins with; ``generation`` is of which rule set it must be the next, 0 for any."""
    body = bytes((0, 0)) + (_SUBSYSTEM >> 8).to_bytes(2, "big")
    return _BATCH_BEGIN, body + (be32(_BATCH_GENID, generation) if generation else b"")


def closing() -> tuple[int, bytes]:
    """The message that a transaction ends with."""
    return _BATCH_END, bytes((0, 0)) + (_SUBSYSTEM >> 8).to_bytes(2, "big")


def verdict(code: int, chain: str = "") -> bytes:
    """A verdict as data, for an expression or for an element of a verdict map."""
    body = (code & 0xFFFFFFFF).to_bytes(4, "big")
    inner = attribute(VERDICT_CODE, body) + (text(VERDICT_CHAIN, chain) if chain else b"")
    return nest(DATA_VERDICT, inner)


def value(data: bytes) -> bytes:
    """Some bytes as data."""
    return attribute(DATA_VALUE, data)


def comment(said: str) -> bytes:
    """A comment as nft(8) keeps it with tables and rules, and shows it."""
    encoded = said.encode() + b"\0"
    return bytes((_COMMENT, len(encoded))) + encoded


def comment_of(data: bytes) -> str:
    """The comment in what is kept with a table; "" if there is none."""
    if len(data) < 2 or data[0] != _COMMENT:
        return ""
    return data[2 : 2 + data[1]].rstrip(b"\0").decode(errors="replace")
