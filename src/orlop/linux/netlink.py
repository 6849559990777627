"""Routing netlink: how the kernel is asked about network devices and told to change them.

A small codec of our own. A message is a header, a fixed structure and attributes; an attribute is a length, a type
and a value, padded to four bytes. Sources: netlink(7), rtnetlink(7), linux/netlink.h.
"""

from __future__ import annotations

import _socket
import os
import sys

from orlop.linux import namespace as namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400

_NLM_F_REQUEST = 0x01
_NLM_F_ACK = 0x04
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
_OWN_NETWORK = "/proc/self/ns/net"


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, encoded."""
    length = 4 + len(value)
    head = length.to_bytes(2, sys.byteorder) + kind.to_bytes(2, sys.byteorder)
    return head + value + bytes(-length % 4)


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
        namespace: a descriptor of the namespace, or -1 for the caller's own.
    """

    __slots__ = ("_sequence", "_socket")

    def __init__(self, namespace: int = -1) -> None:
        if namespace < 0:
            self._socket = _open()
        else:
            # A socket belongs for good to the namespace that it was opened in.
            own = os.open(_OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
            try:
                namespaces.join(namespace, namespaces.CLONE_NEWNET)
                try:
                    self._socket = _open()
                finally:
                    namespaces.join(own, namespaces.CLONE_NEWNET)
            finally:
                os.close(own)
        self._sequence = 0

    def request(self, what: str, kind: int, body: bytes, flags: int = 0) -> list[bytes]:
        """Have one thing done; returns the bodies of the answers, if there are any.

        Raises:
            OSError: the kernel refused; the text starts with ``what`` and has the kernel's explanation.
        """
        return self._exchange(what, kind, body, flags | _NLM_F_ACK)

    def dump(self, what: str, kind: int, body: bytes) -> list[bytes]:
        """Everything there is of a kind; returns the messages' bodies.

        Raises:
            OSError: as `request`.
        """
        return self._exchange(what, kind, body, _NLM_F_DUMP)

    def close(self) -> None:
        """End the conversation."""
        self._socket.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _exchange(self, what: str, kind: int, body: bytes, flags: int) -> list[bytes]:
        self._sequence += 1
        header = (
            (_HEADER + len(body)).to_bytes(4, sys.byteorder)
            + kind.to_bytes(2, sys.byteorder)
            + (flags | _NLM_F_REQUEST).to_bytes(2, sys.byteorder)
            + self._sequence.to_bytes(4, sys.byteorder)
            + bytes(4)
        )
        self._socket.send(header + body)
        bodies: list[bytes] = []
        while True:
            if self._read(what, self._socket.recv(_LARGEST), bodies):
                return bodies

    def _read(self, what: str, data: bytes, bodies: list[bytes]) -> bool:
        """Take one datagram's messages apart; whether the answer is complete."""
        at = 0
        while at + _HEADER <= len(data):
            length = int.from_bytes(data[at : at + 4], sys.byteorder)
            kind = int.from_bytes(data[at + 4 : at + 6], sys.byteorder)
            flags = int.from_bytes(data[at + 6 : at + 8], sys.byteorder)
            sequence = int.from_bytes(data[at + 8 : at + 12], sys.byteorder)
            body = data[at + _HEADER : at + length]
            at += (length + 3) & ~3
            if sequence != self._sequence:
                continue  # what is left of an answer that nobody read to its end
            if kind == _NLMSG_ERROR:
                _check(what, body, flags)
                return True
            if kind == _NLMSG_DONE:
                return True
            bodies.append(body)
        return False


def _open() -> _socket.socket:
    made = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, 0)
    for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
        made.setsockopt(_SOL_NETLINK, option, 1)
    return made


def _check(what: str, body: bytes, flags: int) -> None:
    """Raise what an error message says; one with the number 0 says that all is well."""
    number = -int.from_bytes(body[:4], sys.byteorder, signed=True)
    if not number:
        return
    explanation = ""
    if flags & _NLM_F_ACK_TLVS:
        echoed = _HEADER if flags & _NLM_F_CAPPED else int.from_bytes(body[4:8], sys.byteorder)
        for kind, value in attributes(body[4 + echoed :]):
            if kind == _NLMSGERR_ATTR_MSG:
                explanation = " (" + value.rstrip(b"\0").decode(errors="replace") + ")"
    raise OSError(number, f"{what}: {os.strerror(number)}{explanation}")
