"""Changes of the rule set, made all at once or not at all.

Source: linux/netfilter/nf_tables.h; the kernel's net/netfilter/nfnetlink.c for batches.
"""

from __future__ import annotations

from orlop.linux.netlink import NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, attribute, nest, text
from orlop.linux.nftables import message
from orlop.linux.nftables.message import LIST_ELEMENT, be32, be64
from orlop.linux.nftables.types import Verdict, length_of, number_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Netlink
    from orlop.linux.nftables.types import Type

#: Where in a packet's way a base chain is, linux/netfilter.h.
PREROUTING = 0
INPUT = 1
FORWARD = 2
OUTPUT = 3
POSTROUTING = 4
#: In a table of family NETDEV, where packets leave by a device (Linux 5.16).
EGRESS = 1

_SET_INTERVAL = 0x4
_SET_MAP = 0x8
_SET_TIMEOUT = 0x10
_SET_EVALUATED = 0x20
_SET_CONCATENATION = 0x80
_VERDICT_TYPE = 0xFFFFFF00
_ELEMENT_INTERVAL_END = 1
_GOTO = -4
_JUMP = -3
_OBJECT_COUNTER = 1

#: An attribute is no longer than 64 KiB, and an element of ours no longer than 200 bytes.
_AT_ONCE = 300
#: NFTNL_UDATA_SET_KEYBYTEORDER: the machine's own.
_HOST_ORDER = b"\0\x04\x01\0\0\0"


class Element:
    """An element of a set or map.

    Attributes:
        key: its key; of an interval of a concatenation the first.
        value: its value in a map; None in a set.
        last: the last key of an interval of a concatenation; empty without.
        closes: whether, in a set of intervals, what was begun ends before this key (`interval`).
    """

    __slots__ = ("closes", "key", "last", "value")

    def __init__(
        self, key: bytes, value: bytes | Verdict | None = None, *, last: bytes = b"", closes: bool = False
    ) -> None:
        self.key = key
        self.value = value
        self.last = last
        self.closes = closes

    def encoded(self, *, with_value: bool = True) -> bytes:
        """The element as a message has it."""
        body = nest(1, message.value(self.key))
        if self.last:
            body += nest(10, message.value(self.last))
        if self.closes:
            body += be32(3, _ELEMENT_INTERVAL_END)
        given = self.value if with_value else None
        if isinstance(given, Verdict):
            body += nest(2, message.verdict(_GOTO if given.for_good else _JUMP, given.chain))
        elif given is not None:
            body += nest(2, message.value(given))
        return nest(LIST_ELEMENT, body)


def interval(first: bytes, last: bytes, value: bytes | Verdict | None = None) -> list[Element]:
    """From ``first`` to ``last``, both included, as elements of a set of intervals whose key is one type."""
    after = int.from_bytes(last, "big") + 1
    if after >> (8 * len(last)):
        return [Element(first, value)]  # the last there is: no end is needed
    return [Element(first, value), Element(after.to_bytes(len(last), "big"), closes=True)]


class Transaction:
    """Changes of one table, which `commit` makes, or of several (`beside`)."""

    __slots__ = ("_family", "_netlink", "_set_number", "_steps", "_table")

    def __init__(self, netlink: Netlink, family: int, table: str) -> None:
        self._netlink = netlink
        self._family = family
        self._table = table
        self._steps: list[tuple[str, int, int, bytes, tuple[int, ...]]] = []
        self._set_number = 0

    def beside(self, family: int) -> Transaction:
        """The same transaction, for what is to be changed in the table of that name in another family."""
        made = Transaction(self._netlink, family, self._table)
        made._steps = self._steps
        return made

    def repeat(self, other: Transaction) -> None:
        """Take all the changes that another transaction has."""
        self._steps += other._steps

    def add_table(self, comment: str = "") -> None:
        """Make the table, if it is not there; ``comment`` is kept with it."""
        body = text(1, self._table) + be32(2, 0) + (attribute(6, message.comment(comment)) if comment else b"")
        self._step(f"add table {self._table}", message.NEWTABLE, body, NLM_F_CREATE)

    def delete_table(self) -> None:
        """Delete the table with all that is in it."""
        self._step(f"delete table {self._table}", message.DELTABLE, text(1, self._table))

    def add_chain(self, name: str) -> None:
        """Make a chain to jump to, if it is not there."""
        body = text(1, self._table) + text(3, name)
        self._step(f"add chain {name}", message.NEWCHAIN, body, NLM_F_CREATE)

    def add_base_chain(
        self, name: str, kind: str, hook: int, priority: int, *, policy: int = 1, device: str = ""
    ) -> None:
        """Make a chain that packets come through at a hook, if it is not there.

        ``kind`` is "filter", "nat" or "route"; of several chains at one hook that with the lowest priority is first. In a table of
        family NETDEV the hook is that of a ``device``.
        """
        body = (
            text(1, self._table)
            + text(3, name)
            + nest(4, be32(1, hook), be32(2, priority & 0xFFFFFFFF), *((text(3, device),) if device else ()))
            + be32(5, policy)
            + text(7, kind)
        )
        self._step(f"add {kind} chain {name}", message.NEWCHAIN, body, NLM_F_CREATE)

    def flush_chain(self, name: str) -> None:
        """Take all rules out of a chain."""
        self._step(f"flush chain {name}", message.DELRULE, text(1, self._table) + text(2, name))

    def delete_chain(self, name: str) -> None:
        """Delete a chain, in which there must be no rules and to which none must lead."""
        self._step(f"delete chain {name}", message.DELCHAIN, text(1, self._table) + text(3, name))

    def add_rule(self, chain: str, *expressions: bytes, comment: str = "") -> None:
        """Put a rule behind those of a chain."""
        body = text(1, self._table) + text(2, chain) + nest(4, *expressions)
        if comment:
            body += attribute(7, message.comment(comment))
        self._step(f"add rule to chain {chain}", message.NEWRULE, body, NLM_F_CREATE | NLM_F_APPEND)

    def add_counter(self, name: str) -> None:
        """Make a counter with a name, if it is not there."""
        body = text(1, self._table) + text(2, name) + be32(3, _OBJECT_COUNTER) + nest(4, be64(1, 0), be64(2, 0))
        self._step(f"add counter {name}", message.NEWOBJ, body, NLM_F_CREATE)

    def add_set(
        self,
        name: str,
        *key: Type,
        value: tuple[Type, ...] = (),
        verdicts: bool = False,
        intervals: bool = False,
        timeout: int = 0,
        dynamic: bool = False,
        size: int = 0,
    ) -> None:
        """Make a set of keys, or with ``value`` or ``verdicts`` a map, if it is not there.

        ``timeout``: milliseconds after which an element goes away by itself. ``dynamic``: rules may add elements, at
        most ``size``.
        """
        flags = 0
        if intervals:
            flags |= _SET_INTERVAL
        if len(key) > 1 and intervals:
            flags |= _SET_CONCATENATION
        if value or verdicts:
            flags |= _SET_MAP
        if timeout:
            flags |= _SET_TIMEOUT
        if dynamic:
            flags |= _SET_EVALUATED
        self._set_number += 1
        body = (
            text(1, self._table)
            + text(2, name)
            + be32(3, flags)
            + be32(4, number_of(key))
            + be32(5, length_of(key))
            + be32(10, self._set_number)
        )
        if verdicts:
            body += be32(6, _VERDICT_TYPE) + be32(7, 4)
        elif value:
            body += be32(6, number_of(value)) + be32(7, length_of(value))
        description = be32(1, size) if size else b""
        if len(key) > 1 and intervals:
            lengths = [nest(LIST_ELEMENT, be32(1, each.length)) for each in key]
            description += nest(2, *lengths)
        if description:
            body += nest(9, description)
        if timeout:
            body += be64(11, timeout)
        if any(not each.is_network_order for each in key):
            body += attribute(13, _HOST_ORDER)
        self._step(f"add set {name}", message.NEWSET, body, NLM_F_CREATE)

    def add_elements(self, set_name: str, elements: list[Element], *, exclusively: bool = False) -> None:
        """Put elements into a set or map; those that are there stay, unless ``exclusively``.

        Raises (`commit`):
            OSError: EEXIST or EBUSY if a map has another value for a key.
        """
        flags = NLM_F_CREATE | (NLM_F_EXCL if exclusively else 0)
        self._elements("add elements to", message.NEWSETELEM, set_name, elements, flags)

    def delete_elements(self, set_name: str, elements: list[Element]) -> None:
        """Take elements out of a set or map; values are not looked at.

        Raises (`commit`):
            OSError: ENOENT if one is not there.
        """
        self._elements("delete elements of", message.DELSETELEM, set_name, elements, 0, with_values=False)

    def flush_set(self, set_name: str) -> None:
        """Take all elements out of a set or map."""
        body = text(1, self._table) + text(2, set_name)
        self._step(f"flush set {set_name}", message.DELSETELEM, body)

    def commit(self, generation: int = 0) -> None:
        """Make all the changes, or none. The transaction is empty afterwards.

        ``generation`` is that of the rule set (`listing.generation`) that they were decided upon, if any other must
        have them refused.

        Raises:
            OSError: the kernel refused one, ERESTART because the rule set is another; the text starts with what it was.
        """
        steps = self._steps.copy()
        self._steps.clear()
        self._netlink.run(steps, message.opening(generation), message.closing())

    def _step(self, what: str, number: int, body: bytes, flags: int = 0) -> None:
        what = f"nftables: {what} (table {self._table})"
        self._steps.append((what, message.kind(number), flags, message.head(self._family) + body, ()))

    def _elements(
        self, what: str, number: int, set_name: str, elements: list[Element], flags: int, *, with_values: bool = True
    ) -> None:
        head = text(1, self._table) + text(2, set_name)
        for at in range(0, len(elements), _AT_ONCE):
            encoded = [element.encoded(with_value=with_values) for element in elements[at : at + _AT_ONCE]]
            self._step(f"{what} {set_name}", number, head + nest(3, *encoded), flags)


def wait_for_others(netlink: Netlink) -> None:
    """Return when no transaction that has been begun is still being made: the kernel makes one after the other.

    Meanwhile the kernel tells numbers that are half the old and half the new.
    """
    netlink.run([], message.opening(0), message.closing())
