"""Ethernet between machines in UDP packets: VXLAN (RFC 7348), through `netlink`.

Sources: linux/if_link.h, ip-link(8).
"""

from __future__ import annotations

import _socket

from orlop.linux import network_device
from orlop.linux.netlink import attribute, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Requests

_IFLA_VXLAN_ID = 1
_IFLA_VXLAN_GROUP = 2
_IFLA_VXLAN_LINK = 3
_IFLA_VXLAN_LOCAL = 4
_IFLA_VXLAN_LEARNING = 7
_IFLA_VXLAN_PORT = 15
_IFLA_VXLAN_GROUP6 = 16
_IFLA_VXLAN_LOCAL6 = 17

PORT = 4789  # the one that IANA assigned


def create(
    requests: Requests,
    name: str,
    identifier: int,
    *,
    remote: str = "",
    local: str = "",
    parent: int = 0,
    port: int = PORT,
    learning: bool = True,
    mac: bytes = b"",
    mtu: int = 0,
    master: int = 0,
    up: bool = False,
) -> None:
    """Make one end of the network with the number ``identifier`` (24 bits).

    ``remote`` is the other end, or the multicast group of all ends, which needs a ``parent`` (a device's index).
    Without ``learning`` it knows only what it is told (`neighbour.add_forwarding`).
    """
    data = u32(_IFLA_VXLAN_ID, identifier)
    if remote:
        data += _address(_IFLA_VXLAN_GROUP, _IFLA_VXLAN_GROUP6, remote)
    if local:
        data += _address(_IFLA_VXLAN_LOCAL, _IFLA_VXLAN_LOCAL6, local)
    if parent:
        data += u32(_IFLA_VXLAN_LINK, parent)
    data += attribute(_IFLA_VXLAN_LEARNING, bytes((learning,)))
    data += attribute(_IFLA_VXLAN_PORT, port.to_bytes(2, "big"))
    network_device.create(requests, "vxlan", name, data, mac=mac, mtu=mtu, master=master, up=up)


def _address(kind: int, kind_of_ipv6: int, address: str) -> bytes:
    if ":" in address:
        return attribute(kind_of_ipv6, _socket.inet_pton(_socket.AF_INET6, address))
    return attribute(kind, _socket.inet_pton(_socket.AF_INET, address))
