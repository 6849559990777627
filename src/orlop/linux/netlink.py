"""Netlink: how the kernel is asked about network devices, routes and rules, and told to change them.

A small codec of our own. A message is a header, a fixed structure and attributes; an attribute is a length, a type
and a value, padded to four bytes. What changes something takes a `Netlink`, which has it done at once, or a `Batch`,
which collects: its steps then cost one call to send and one to hear that all went well.
Sources: netlink(7), rtnetlink(7), linux/netlink.h.
"""

from __future__ import annotations

import _socket
import os
import sys

from orlop.linux import namespace as namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import TypeAlias

    #: Who takes a request for a change.
    Requests: TypeAlias = "Netlink | Batch"

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800

NLA_F_NESTED = 0x8000

_NLM_F_REQUEST = 0x01
_NLM_F_ACK = 0x04
_NLM_F_DUMP_INTR = 0x10
_NLM_F_DUMP = 0x300
_NLM_F_ACK_TLVS = 0x200
_NLM_F_CAPPED = 0x100
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLA_TYPE_MASK = 0x3FFF  # without the bits that say "nested" and "network byte order"
_NLMSGERR_ATTR_MSG = 1

_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NETLINK_GET_STRICT_CHK = 12  # Linux 4.20: dumps filter by what their header says

_HEADER = 16
_LARGEST = 1 << 16
_ALWAYS_FITS = 1 << 16  # with any limit that a machine may have (net.core.wmem_max)
_SO_SNDBUFFORCE = 32
_OWN_NETWORK = "/proc/self/ns/net"
_DUMPS = 20  # attempts, when what is listed changes all the time


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, encoded."""
    length = 4 + len(value)
    head = length.to_bytes(2, sys.byteorder) + kind.to_bytes(2, sys.byteorder)
    return head + value + bytes(-length % 4)


def nest(kind: int, *inner: bytes) -> bytes:
    """An attribute that consists of attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(inner))


def u32(kind: int, value: int) -> bytes:
    """An attribute with a number of four bytes in the machine's order."""
    return attribute(kind, value.to_bytes(4, sys.byteorder))


def text(kind: int, value: str) -> bytes:
    """An attribute with a text that ends with a zero."""
    return attribute(kind, value.encode(errors="surrogateescape") + b"\0")


def attributes(data: bytes) -> list[tuple[int, bytes]]:
    """The attributes that ``data`` consists of, as (type, value)."""
    found = []
    at = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 2], sys.byteorder)
        if length < 4:
            break
        kind = int.from_bytes(data[at + 2 : at + 4], sys.byteorder) & _NLA_TYPE_MASK
        found.append((kind, data[at + 4 : at + length]))
        at += (length + 3) & ~3
    return found


class Netlink:
    """A conversation with the kernel about one network namespace.

    Attributes:
        namespace: a descriptor of the namespace, or the pidfd of a process in it (Linux 5.8), or -1 for the caller's own.
        protocol: what it is about, ``NETLINK_*``.
    """

    __slots__ = ("_sequence", "_socket")

    def __init__(self, namespace: int = -1, protocol: int = NETLINK_ROUTE) -> None:
        if namespace < 0:
            self._socket = _open(protocol)
        else:
            # A socket belongs for good to the namespace that it was opened in.
            own = os.open(_OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
            try:
                namespaces.join(namespace, namespaces.CLONE_NEWNET)
                try:
                    self._socket = _open(protocol)
                finally:
                    namespaces.join(own, namespaces.CLONE_NEWNET)
            finally:
                os.close(own)
        self._sequence = 0

    def request(
        self, what: str, kind: int, body: bytes, flags: int = 0, tolerated: tuple[int, ...] = ()
    ) -> list[bytes]:
        """Have one thing done; returns the bodies of the answers, if there are any.

        ``tolerated`` are the errnos with which it is as good as done.

        Raises:
            OSError: the kernel refused; the text starts with ``what`` and has the kernel's explanation.
        """
        first = self._sequence + 1
        self._socket.send(self._message(kind, flags | _NLM_F_ACK, body))
        bodies: list[bytes] = []
        self._hear([(what, tolerated)], first, bodies)
        return bodies

    def dump(self, what: str, kind: int, body: bytes) -> list[bytes]:
        """Everything there is of a kind; returns the messages' bodies.

        Raises:
            OSError: as `request`, and EBUSY if what is listed never stood still.
        """
        for _ in range(_DUMPS):
            first = self._sequence + 1
            self._socket.send(self._message(kind, _NLM_F_DUMP, body))
            bodies: list[bytes] = []
            if self._hear([(what, ())], first, bodies):
                return bodies
        raise OSError(16, f"{what}: it kept changing while it was read")

    def batch(self) -> Batch:
        """A batch of requests for this conversation."""
        return Batch(self)

    def run(
        self,
        steps: Sequence[tuple[str, int, int, bytes, tuple[int, ...]]],
        opening: tuple[int, bytes] | None = None,
        closing: tuple[int, bytes] | None = None,
    ) -> list[bytes]:
        """Send many requests at once: (what, kind, flags, body, tolerated errnos); returns the answers' bodies.

        ``opening`` and ``closing`` are messages (kind, body) around them, for protocols that have transactions;
        without, the kernel does every step that it can, whatever became of the others. Without steps nothing is heard.

        Raises:
            OSError: the kernel refused a step; of the first such.
        """
        messages = []
        words: list[tuple[str, tuple[int, ...]]] = []
        first = self._sequence + 1
        if opening:
            messages.append(self._message(opening[0], 0, opening[1]))
            words.append((steps[0][0] if steps else "", ()))
        last = len(steps) - 1
        for at, (what, kind, flags, body, tolerated) in enumerate(steps):
            messages.append(self._message(kind, flags | _NLM_F_ACK if at == last else flags, body))
            words.append((what, tolerated))
        end = self._sequence
        if closing:
            messages.append(self._message(closing[0], 0, closing[1]))
        if messages:
            self._send(b"".join(messages))
        bodies: list[bytes] = []
        if steps:
            self._hear(words, first, bodies, end, opened=opening is not None)
        return bodies

    def close(self) -> None:
        """End the conversation."""
        self._socket.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _message(self, kind: int, flags: int, body: bytes) -> bytes:
        self._sequence += 1
        return (
            (_HEADER + len(body)).to_bytes(4, sys.byteorder)
            + kind.to_bytes(2, sys.byteorder)
            + (flags | _NLM_F_REQUEST).to_bytes(2, sys.byteorder)
            + self._sequence.to_bytes(4, sys.byteorder)
            + bytes(4)
            + body
            + bytes(-len(body) % 4)
        )

    def _send(self, data: bytes) -> None:
        if len(data) > _ALWAYS_FITS:
            self._socket.setsockopt(_socket.SOL_SOCKET, _SO_SNDBUFFORCE, 2 * len(data))
        self._socket.send(data)

    def _hear(
        self,
        steps: list[tuple[str, tuple[int, ...]]],
        first: int,
        bodies: list[bytes],
        last: int = 0,
        *,
        opened: bool = False,
    ) -> bool:
        """Read answers until the one to the last step; whether what they tell is of one moment.

        Step number n was sent with the sequence number ``first`` + n.
        """
        last = last or first
        refused: OSError | None = None
        is_whole = True
        while True:
            data = self._socket.recv(_LARGEST)
            at = 0
            while at + _HEADER <= len(data):
                length = int.from_bytes(data[at : at + 4], sys.byteorder)
                kind = int.from_bytes(data[at + 4 : at + 6], sys.byteorder)
                flags = int.from_bytes(data[at + 6 : at + 8], sys.byteorder)
                sequence = int.from_bytes(data[at + 8 : at + 12], sys.byteorder)
                body = data[at + _HEADER : at + length]
                at += (length + 3) & ~3
                if not first <= sequence <= last:
                    continue  # what is left of an answer that nobody read to its end
                if kind == _NLMSG_ERROR:
                    what, tolerated = steps[sequence - first]
                    error = _error(what, body, flags)
                    if error and error.errno not in tolerated:
                        refused = refused or error
                elif kind != _NLMSG_DONE:
                    if flags & _NLM_F_DUMP_INTR:
                        is_whole = False
                    bodies.append(body)
                    continue
                elif flags & _NLM_F_DUMP_INTR:
                    is_whole = False
                # An error about the opening message is one about the whole transaction.
                if sequence == last or (opened and sequence == first):
                    if refused:
                        raise refused
                    return is_whole


class Batch:
    """Requests that are sent together by `send`, or when a ``with`` block ends without an exception."""

    __slots__ = ("_netlink", "_steps")

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink
        self._steps: list[tuple[str, int, int, bytes, tuple[int, ...]]] = []

    def request(
        self, what: str, kind: int, body: bytes, flags: int = 0, tolerated: tuple[int, ...] = ()
    ) -> list[bytes]:
        """Take one thing to be done, as `Netlink.request` has it done; there is no answer yet."""
        self._steps.append((what, kind, flags, body, tolerated))
        return []

    def send(self) -> list[bytes]:
        """Have everything done, in order; returns the answers' bodies. The batch is empty afterwards.

        The kernel goes on after a step that it refused: what came before and after it is done.

        Raises:
            OSError: the first step's that was refused; the text starts with what that step was.
        """
        steps, self._steps = self._steps, []
        return self._netlink.run(steps)

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.send()


def _open(protocol: int) -> _socket.socket:
    made = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol)
    for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
        made.setsockopt(_SOL_NETLINK, option, 1)
    if protocol == NETLINK_ROUTE:
        made.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
    return made


def _error(what: str, body: bytes, flags: int) -> OSError | None:
    """What an error message says; one with the number 0 says that all is well."""
    number = -int.from_bytes(body[:4], sys.byteorder, signed=True)
    if not number:
        return None
    explanation = ""
    if flags & _NLM_F_ACK_TLVS:
        echoed = _HEADER if flags & _NLM_F_CAPPED else int.from_bytes(body[4:8], sys.byteorder)
        for kind, value in attributes(body[4 + echoed :]):
            if kind == _NLMSGERR_ATTR_MSG:
                explanation = " (" + value.rstrip(b"\0").decode(errors="replace") + ")"
    return OSError(number, f"{what}: {os.strerror(number)}{explanation}")
