"""Bridges and their ports, through `netlink`.

Sources: linux/if_link.h, bridge(8).
"""

from __future__ import annotations

import sys

from orlop.linux import network_device
from orlop.linux.netlink import attribute, nest, text, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Requests

_RTM_NEWLINK = 16
_IFLA_LINKINFO = 18
_IFLA_INFO_SLAVE_KIND = 4
_IFLA_INFO_SLAVE_DATA = 5
_IFLA_BR_AGEING_TIME = 4
_IFLA_BR_GROUP_FWD_MASK = 9
_IFLA_BR_MCAST_SNOOPING = 23
_IFLA_BRPORT_MODE = 4
_IFLA_BRPORT_LEARNING = 8
_IFLA_BRPORT_UNICAST_FLOOD = 9
_IFLA_BRPORT_ISOLATED = 33

_CENTISECONDS = 100


def create(
    requests: Requests,
    name: str,
    *,
    mac: bytes = b"",
    mtu: int = 0,
    up: bool = False,
    ageing: int | None = None,
    multicast_snooping: bool | None = None,
    group_forward_mask: int = 0,
) -> None:
    """Make a bridge. Without ``mac`` its address changes with its ports.

    ``ageing`` is how many seconds it remembers behind which port an address is; 0 floods everything.

    Raises:
        OSError: EEXIST if the name is in use.
    """
    data = b""
    if ageing is not None:
        data += u32(_IFLA_BR_AGEING_TIME, ageing * _CENTISECONDS)
    if multicast_snooping is not None:
        data += attribute(_IFLA_BR_MCAST_SNOOPING, bytes((multicast_snooping,)))
    if group_forward_mask:
        data += attribute(_IFLA_BR_GROUP_FWD_MASK, group_forward_mask.to_bytes(2, sys.byteorder))
    network_device.create(requests, "bridge", name, data, mac=mac, mtu=mtu, up=up)


def change_port(
    requests: Requests,
    device: int | str,
    *,
    isolated: bool | None = None,
    hairpin: bool | None = None,
    learning: bool | None = None,
    flood: bool | None = None,
) -> None:
    """Change what is given of a port.

    Ports that are ``isolated`` (Linux 4.18) reach the bridge itself and ports that are not, but not each other; one
    with ``hairpin`` gets back what it sent if it is meant for it; without ``flood`` it gets only what is known to be
    behind it.
    """
    data = b""
    for kind, value in (
        (_IFLA_BRPORT_ISOLATED, isolated),
        (_IFLA_BRPORT_MODE, hairpin),
        (_IFLA_BRPORT_LEARNING, learning),
        (_IFLA_BRPORT_UNICAST_FLOOD, flood),
    ):
        if value is not None:
            data += attribute(kind, bytes((value,)))
    body = network_device.head(device) + nest(
        _IFLA_LINKINFO, text(_IFLA_INFO_SLAVE_KIND, "bridge"), nest(_IFLA_INFO_SLAVE_DATA, data)
    )
    requests.request(f"change bridge port {device}", _RTM_NEWLINK, body)
