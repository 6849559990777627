"""What the rules must know of a bridge network that is up."""

from __future__ import annotations

#: How containers of a network are reached from outside, Docker's gateway modes.
NAT = "nat"  # by published ports only
UNPROTECTED = "nat-unprotected"  # by published ports, and by their own addresses
ROUTED = "routed"  # by their own addresses and what ports of them are published, without translation
ISOLATED = "isolated"  # not at all, and the host has no address in the network
MODES = (NAT, UNPROTECTED, ROUTED, ISOLATED)


class Zone:
    """A bridge network.

    Attributes:
        bridge: the bridge's name.
        subnets: its networks, "172.17.0.0/16" or "fd00::/64".
        internal: whether nothing goes in or out.
        icc: whether its containers reach each other.
        masquerade: whether containers appear with an address of the host's outside of it.
        source4: which one for IPv4; "" for that of the device by which a packet leaves.
        source6: likewise for IPv6.
        mode4: how containers are reached by IPv4, of `MODES`.
        mode6: likewise by IPv6.
        trusted: names of the host's devices from which containers are reached directly all the same.
    """

    __slots__ = (
        "bridge",
        "icc",
        "internal",
        "masquerade",
        "mode4",
        "mode6",
        "source4",
        "source6",
        "subnets",
        "trusted",
    )

    def __init__(
        self,
        bridge: str,
        subnets: list[str],
        *,
        internal: bool = False,
        icc: bool = True,
        masquerade: bool = True,
        source4: str = "",
        source6: str = "",
        mode4: str = NAT,
        mode6: str = NAT,
        trusted: tuple[str, ...] = (),
    ) -> None:
        self.bridge = bridge
        self.subnets = subnets
        self.internal = internal
        self.icc = icc
        self.masquerade = masquerade
        self.source4 = source4
        self.source6 = source6
        self.mode4 = mode4
        self.mode6 = mode6
        self.trusted = trusted

    @property
    def has_ipv6(self) -> bool:
        """Whether one of its networks is of IPv6."""
        return any(":" in subnet for subnet in self.subnets)

    @property
    def has_ipv4(self) -> bool:
        """Whether one of its networks is of IPv4."""
        return any(":" not in subnet for subnet in self.subnets)
