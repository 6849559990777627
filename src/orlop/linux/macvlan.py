"""Devices that share another one with it: macvlan (an address of hardware each) and ipvlan (one for all).

Sources: linux/if_link.h, ip-link(8), Documentation/networking/ipvlan.rst.
"""

from __future__ import annotations

import sys

from orlop.linux import network_device
from orlop.linux.netlink import attribute, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Requests

_IFLA_MACVLAN_MODE = 1
_IFLA_IPVLAN_MODE = 1
_IFLA_IPVLAN_FLAGS = 2

#: What a macvlan may send to others upon the same device → the kernel's number of it.
MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}


def create(
    requests: Requests,
    name: str,
    parent: int,
    mode: str = "bridge",
    *,
    mac: bytes = b"",
    mtu: int = 0,
    up: bool = False,
    namespace: int = -1,
    process: int = 0,
) -> None:
    """Make a macvlan upon the device with the index ``parent``, born in ``namespace`` or that of ``process``.

    Raises:
        OSError: EOPNOTSUPP if this kernel has no macvlan; EBUSY if ``parent`` is a bridge's port.
    """
    data = u32(_IFLA_MACVLAN_MODE, MACVLAN_MODES[mode])
    network_device.create(
        requests, "macvlan", name, data, mac=mac, mtu=mtu, link=parent, up=up, namespace=namespace, process=process
    )


def create_ipvlan(
    requests: Requests,
    name: str,
    parent: int,
    mode: str = "l2",
    flag: str = "bridge",
    *,
    mtu: int = 0,
    up: bool = False,
    namespace: int = -1,
    process: int = 0,
) -> None:
    """Make an ipvlan upon the device with the index ``parent``, born in ``namespace`` or that of ``process``.

    Raises:
        OSError: EOPNOTSUPP if this kernel has no ipvlan.
    """
    data = b"".join(
        attribute(kind, value.to_bytes(2, sys.byteorder))
        for kind, value in ((_IFLA_IPVLAN_MODE, IPVLAN_MODES[mode]), (_IFLA_IPVLAN_FLAGS, IPVLAN_FLAGS[flag]))
    )
    network_device.create(
        requests, "ipvlan", name, data, mtu=mtu, link=parent, up=up, namespace=namespace, process=process
    )
