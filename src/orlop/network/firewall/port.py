"""A published port, as the rules must know it."""

from __future__ import annotations

import _blake2
import _socket

from orlop.errors import InvalidArgument
from orlop.linux.nftables import types
from orlop.linux.nftables.message import IPV4, IPV6
from orlop.linux.nftables.transaction import Element

#: Protocols with ports → their number.
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}

_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - what users write


class Port:
    """One port of the host's that leads to one of a container's.

    Attributes:
        protocol: "tcp", "udp" or "sctp".
        host_address: the address of the host's that it is on; "", "0.0.0.0" or "::" for all of ``address``'s family.
        host_port: the port there.
        address: the container's address.
        port: the port there.
        source: the only network whose clients may use it, "10.0.0.0/8"; "" for all.
        interface: the only device of the host's by which clients may come; "" for all.
        bridge: the name of the bridge by which ``address`` is reached; without, the port is not on 127.0.0.1.
        direct: whether clients use the container's own address and port, because its network is routed.
    """

    __slots__ = (
        "address",
        "bridge",
        "direct",
        "host_address",
        "host_port",
        "interface",
        "port",
        "protocol",
        "source",
    )

    def __init__(
        self,
        protocol: str,
        host_address: str,
        host_port: int,
        address: str,
        port: int,
        *,
        source: str = "",
        interface: str = "",
        bridge: str = "",
        direct: bool = False,
    ) -> None:
        self.protocol = protocol
        self.host_address = host_address
        self.host_port = host_port
        self.address = address
        self.port = port
        self.source = source
        self.interface = interface
        self.bridge = bridge
        self.direct = direct

    @property
    def family(self) -> int:
        """Which of an engine's tables it is in."""
        return IPV6 if ":" in self.address else IPV4

    @property
    def is_on_loopback(self) -> bool:
        """Whether the host's own programs use it at 127.0.0.1 or another of its addresses that start so."""
        return self.family == IPV4 and (self.host_address in _ANY or self.host_address.startswith("127."))

    def element(self) -> tuple[str, Element]:
        """The map that it is in, and as what.

        Raises:
            InvalidArgument: an address cannot be right, or is of the other family.
        """
        if self.interface:
            return "by_device", self._limited(types.interface_name(self.interface))
        if self.source:
            return "limited", self._limited(b"")
        number = bytes((PROTOCOLS[self.protocol],))
        host_port = self.host_port.to_bytes(2, "big")
        if self.host_address in _ANY:
            return "anywhere", Element(types.joined(number, host_port), self._target())
        key = types.joined(number, self._packed(self.host_address), host_port)
        return "published", Element(key, self._target())

    def by_mark(self) -> Element:
        """What a port for a device is in the map that has the device's `mark` instead."""
        return self._limited(mark(self.interface))

    def _target(self) -> bytes:
        return types.joined(self._packed(self.address), self.port.to_bytes(2, "big"))

    def _limited(self, rest: bytes) -> Element:
        """An element with intervals of the host's and of clients' addresses; ``rest`` is what ends its key."""
        everything = whole(self.family)
        here = everything
        if self.host_address not in _ANY:
            here = (self._packed(self.host_address), self._packed(self.host_address))
        clients = network(self.source) if self.source else everything
        if len(clients[0]) != len(here[0]):
            raise InvalidArgument(f"port {self.host_port}: {self.source} and {self.address} are of different families")
        number = bytes((PROTOCOLS[self.protocol],))
        host_port = self.host_port.to_bytes(2, "big")
        first, last = (types.joined(number, here[at], host_port, clients[at]) + rest for at in (0, 1))
        return Element(first, self._target(), last=last)

    def opening(self) -> Element:
        """What lets packets to the container's own address pass."""
        number = bytes((PROTOCOLS[self.protocol],))
        return Element(types.joined(self._packed(self.address), number, self.port.to_bytes(2, "big")))

    def _packed(self, address: str) -> bytes:
        return packed(self.family, address)


def mark(interface: str) -> bytes:
    """The mark by which packets that came by a device are known a second time, as rules have it."""
    return _blake2.blake2s(interface.encode(errors="surrogateescape"), digest_size=4).digest()


def packed(family: int, address: str) -> bytes:
    """An address as rules have it; ``family`` is IPV4 or IPV6.

    Raises:
        InvalidArgument: it is no address of that family.
    """
    try:
        return _socket.inet_pton(_socket.AF_INET6 if family == IPV6 else _socket.AF_INET, address)
    except OSError:
        raise InvalidArgument(f"{address}: not an IPv{6 if family == IPV6 else 4} address") from None


def whole(family: int) -> tuple[bytes, bytes]:
    """All addresses of a family: the first and the last."""
    size = 16 if family == IPV6 else 4
    return bytes(size), b"\xff" * size


def network(text: str) -> tuple[bytes, bytes]:
    """The first and the last address of a network, "10.0.0.0/8", or of one address.

    Raises:
        InvalidArgument: it is neither.
    """
    address, slash, length = text.partition("/")
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    try:
        packed = _socket.inet_pton(family, address)
    except OSError:
        raise InvalidArgument(f"{text}: not a network such as 10.0.0.0/8") from None
    size = 8 * len(packed)
    if slash and not (length.isascii() and length.isdigit() and int(length) <= size):
        raise InvalidArgument(f"{text}: the length of its prefix is not a number from 0 to {size}")
    rest = (1 << (size - (int(length) if slash else size))) - 1
    first = int.from_bytes(packed, "big") & ~rest
    return first.to_bytes(len(packed), "big"), (first | rest).to_bytes(len(packed), "big")
