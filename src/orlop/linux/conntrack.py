"""Connections that the kernel keeps in mind for filtering and address translation, through ctnetlink.

Sources: linux/netfilter/nfnetlink_conntrack.h, conntrack(8).
"""

from __future__ import annotations

import _socket

from orlop.linux.netlink import attribute, attributes, nest, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Netlink

_SUBSYSTEM = 1 << 8
_GET = _SUBSYSTEM | 1
_DELETE = _SUBSYSTEM | 2

_HEAD = 4  # struct nfgenmsg
_TUPLE_ORIGINAL = 1
_TUPLE_REPLY = 2
_ID = 12
_FILTER = 25
_FILTER_ORIGINAL = 1
_FILTER_REPLY = 2
_FILTER_SOURCE = 1
_FILTER_PORT = 1 << 3 | 1 << 5  # the protocol and the destination's port
_TUPLE_IP = 1
_TUPLE_PROTOCOL = 2
_IPV4_SOURCE = 1
_IPV4_DESTINATION = 2
_IPV6_SOURCE = 3
_IPV6_DESTINATION = 4
_PROTOCOL_NUMBER = 1
_PROTOCOL_SOURCE_PORT = 2
_PROTOCOL_DESTINATION_PORT = 3
_ENOENT = 2


class End:
    """One direction of a connection: who sends to whom."""

    __slots__ = ("destination", "destination_port", "protocol", "source", "source_port")

    def __init__(self, protocol: int, source: str, source_port: int, destination: str, destination_port: int) -> None:
        self.protocol = protocol
        self.source = source
        self.source_port = source_port
        self.destination = destination
        self.destination_port = destination_port


class Connection:
    """A connection: its direction as its first packet had it, and what the answers look like."""

    __slots__ = ("_identifier", "_tuple", "family", "original", "reply")

    def __init__(self, family: int, original: End, reply: End, encoded: bytes, identifier: bytes) -> None:
        self.family = family
        self.original = original
        self.reply = reply
        self._tuple = encoded
        self._identifier = identifier

    def forget(self, netlink: Netlink) -> None:
        """Have the kernel forget it; one that is over is no error. The next packet of it is a new connection's."""
        body = bytes((self.family, 0, 0, 0)) + nest(_TUPLE_ORIGINAL, self._tuple)
        body += attribute(_ID, self._identifier)
        netlink.request("forget a connection", _DELETE, body, 0, (_ENOENT,))


def connections(
    netlink: Netlink, family: int, *, answered_by: str = "", protocol: int = 0, destination_port: int = 0
) -> list[Connection]:
    """The connections of a family, AF_INET or AF_INET6: those in which an address answers, or that were opened to a port.

    ``protocol`` and ``destination_port`` go together.
    """
    request = bytes((family, 0, 0, 0))
    # Linux 5.9 chooses by itself; an older one tells all.
    if answered_by:
        kind = _IPV6_SOURCE if family == _socket.AF_INET6 else _IPV4_SOURCE
        address = attribute(kind, _socket.inet_pton(family, answered_by))
        request += nest(_TUPLE_REPLY, nest(_TUPLE_IP, address))
    if destination_port:
        port = attribute(_PROTOCOL_DESTINATION_PORT, destination_port.to_bytes(2, "big"))
        number = attribute(_PROTOCOL_NUMBER, bytes((protocol,)))
        request += nest(_TUPLE_ORIGINAL, nest(_TUPLE_PROTOCOL, number, port))
    original_filter = u32(_FILTER_ORIGINAL, _FILTER_PORT if destination_port else 0)
    request += nest(_FILTER, original_filter, u32(_FILTER_REPLY, _FILTER_SOURCE if answered_by else 0))
    found = []
    for body in netlink.dump("list connections", _GET, request):
        details = dict(attributes(body[_HEAD:]))
        if _TUPLE_ORIGINAL not in details or _TUPLE_REPLY not in details:
            continue
        encoded = details[_TUPLE_ORIGINAL]
        original, reply = _end(family, encoded), _end(family, details[_TUPLE_REPLY])
        if answered_by not in {"", reply.source}:
            continue
        if destination_port and (original.protocol, original.destination_port) != (protocol, destination_port):
            continue
        found.append(Connection(family, original, reply, encoded, details.get(_ID, b"")))
    return found


def _end(family: int, data: bytes) -> End:
    parts = dict(attributes(data))
    addresses = dict(attributes(parts.get(_TUPLE_IP, b"")))
    protocol = dict(attributes(parts.get(_TUPLE_PROTOCOL, b"")))
    v6 = family == _socket.AF_INET6
    return End(
        int.from_bytes(protocol.get(_PROTOCOL_NUMBER, b""), "big"),
        _address(family, addresses.get(_IPV6_SOURCE if v6 else _IPV4_SOURCE, b"")),
        int.from_bytes(protocol.get(_PROTOCOL_SOURCE_PORT, b""), "big"),
        _address(family, addresses.get(_IPV6_DESTINATION if v6 else _IPV4_DESTINATION, b"")),
        int.from_bytes(protocol.get(_PROTOCOL_DESTINATION_PORT, b""), "big"),
    )


def _address(family: int, packed: bytes) -> str:
    return _socket.inet_ntop(family, packed) if packed else ""
