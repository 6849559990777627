"""A legacy link on a network whose containers otherwise do not reach each other."""

from __future__ import annotations

import _socket

from orlop.linux.nftables import types
from orlop.linux.nftables.message import IPV4, IPV6
from orlop.linux.nftables.transaction import Element
from orlop.network.firewall.port import PROTOCOLS


class Link:
    """One container may use a port of another.

    Attributes:
        source: who may: a container's address.
        address: whose port: the other's.
        protocol: "tcp", "udp" or "sctp".
        port: the port.
    """

    __slots__ = ("address", "port", "protocol", "source")

    def __init__(self, source: str, address: str, protocol: str, port: int) -> None:
        self.source = source
        self.address = address
        self.protocol = protocol
        self.port = port

    @property
    def family(self) -> int:
        """Which family its addresses are of."""
        return IPV6 if ":" in self.address else IPV4

    def element(self) -> Element:
        """What it is in the set of links."""
        family = _socket.AF_INET6 if self.family == IPV6 else _socket.AF_INET
        return Element(
            types.joined(
                _socket.inet_pton(family, self.source),
                _socket.inet_pton(family, self.address),
                bytes((PROTOCOLS[self.protocol],)),
                self.port.to_bytes(2, "big"),
            )
        )
