"""Reading the rule set: whether tables are there and what their sets hold.

Source: linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from orlop.linux.netlink import attributes, nest, text
from orlop.linux.nftables import message
from orlop.linux.nftables.transaction import Element

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Netlink

_HEAD = 4  # struct nfgenmsg
_ENOENT = 2


class Table:
    """A table that is there.

    Attributes:
        family: INET and so on.
        name: its name.
        use: how many chains, sets and other things it has.
        comment: what its maker had kept with it.
    """

    __slots__ = ("comment", "family", "name", "use")

    def __init__(self, family: int, name: str, use: int, comment: str) -> None:
        self.family = family
        self.name = name
        self.use = use
        self.comment = comment


def generation(netlink: Netlink) -> int:
    """The number of the rule set: it is another after each transaction, whoever's it was."""
    [body] = netlink.request("nftables: ask for the generation", message.kind(message.GETGEN), message.head(0))
    return int.from_bytes(dict(attributes(body[_HEAD:]))[1], "big")


def table(netlink: Netlink, family: int, name: str) -> Table | None:
    """A table; None if it is not there."""
    request = message.head(family) + text(1, name)
    try:
        [body] = netlink.request(f"nftables: look at table {name}", message.kind(message.GETTABLE), request)
    except OSError as error:
        if error.errno == _ENOENT:
            return None
        raise
    return _table(body)


def comment_of_table(body: bytes) -> str:
    """What its maker had kept with a table, from the kernel's answer to GETTABLE."""
    return _table(body).comment


def tables(netlink: Netlink, family: int = 0) -> list[Table]:
    """The tables of a family, or of all."""
    return [
        _table(body)
        for body in netlink.dump("nftables: list tables", message.kind(message.GETTABLE), message.head(family))
    ]


def chains(netlink: Netlink, family: int, table_name: str) -> dict[str, int]:
    """The chains of a table → how many rules and elements are in them or lead to them."""
    found = {}
    what = f"nftables: list chains (table {table_name})"
    for body in netlink.dump(what, message.kind(message.GETCHAIN), message.head(family)):
        if _text(dict(attributes(body[_HEAD:]))[1]) == table_name:
            _, name, rules = chain(body)
            found[name] = rules
    return found


def chain(body: bytes) -> tuple[int, str, int]:
    """From the kernel's answer to GETCHAIN: the family, the name, and how many rules and elements are in it or lead to it."""
    details = dict(attributes(body[_HEAD:]))
    return body[0], _text(details[3]), int.from_bytes(details[6], "big")


def rules(netlink: Netlink, family: int, table_name: str) -> dict[str, list[bytes]]:
    """The rules of a table by their chain, as the kernel has them: their expressions, encoded."""
    found: dict[str, list[bytes]] = {}
    what = f"nftables: list rules (table {table_name})"
    request = message.head(family) + text(1, table_name)
    for body in netlink.dump(what, message.kind(message.GETRULE), request):
        details = dict(attributes(body[_HEAD:]))
        found.setdefault(_text(details[2]), []).append(details.get(4, b""))
    return found


def elements(netlink: Netlink, family: int, table_name: str, set_name: str) -> list[Element]:
    """What a set or map holds, without verdicts.

    Raises:
        OSError: ENOENT if there is no such set.
    """
    found = []
    what = f"nftables: list set {set_name} (table {table_name})"
    request = message.head(family) + text(1, table_name) + text(2, set_name)
    for body in netlink.dump(what, message.kind(message.GETSETELEM), request):
        for kind, value in attributes(body[_HEAD:]):
            if kind == 3:
                found += [_element(each) for _, each in attributes(value)]
    return found


def element(netlink: Netlink, family: int, table_name: str, set_name: str, wanted: Element) -> bytes | None:
    """The value of one element of a map, b"" of a set or a map of verdicts; None if it is not there."""
    what = f"nftables: look into set {set_name} (table {table_name})"
    request = message.head(family) + text(1, table_name) + text(2, set_name)
    request += nest(3, wanted.encoded(with_value=False))
    try:
        [body] = netlink.request(what, message.kind(message.GETSETELEM), request)
    except OSError as error:
        if error.errno == _ENOENT:
            return None
        raise
    for kind, value in attributes(body[_HEAD:]):
        if kind == 3:
            found = _element(attributes(value)[0][1]).value
            return found if isinstance(found, bytes) else b""
    return None


def counter(netlink: Netlink, family: int, table_name: str, name: str) -> int:
    """How many packets a counter that has a name has counted.

    Raises:
        OSError: ENOENT if there is none.
    """
    request = message.head(family) + text(1, table_name) + text(2, name) + message.be32(3, 1)
    what = f"nftables: read counter {name} (table {table_name})"
    [body] = netlink.request(what, message.kind(message.GETOBJ), request)
    return int.from_bytes(dict(attributes(dict(attributes(body[_HEAD:]))[4]))[2], "big")


def _table(body: bytes) -> Table:
    details = dict(attributes(body[_HEAD:]))
    return Table(body[0], _text(details[1]), int.from_bytes(details[3], "big"), message.comment_of(details.get(6, b"")))


def _element(data: bytes) -> Element:
    details = dict(attributes(data))
    return Element(
        _value(details[1]),
        _value(details[2]) if 2 in details else None,
        last=_value(details[10]) if 10 in details else b"",
        closes=bool(details.get(3, bytes(4))[3] & 1),
    )


def _value(data: bytes) -> bytes:
    return dict(attributes(data)).get(message.DATA_VALUE, b"")


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode(errors="surrogateescape")
