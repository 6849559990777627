"""Network devices of any kind, through `netlink`: finding, changing, moving and deleting them.

How one is made is in the module of its kind: `veth`, `bridge`, `macvlan`, `vxlan`.
Sources: rtnetlink(7), linux/if_link.h.
"""

from __future__ import annotations

import os
import sys

from orlop.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, attribute, attributes, nest, text, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Netlink, Requests

IFF_UP = 0x1
IFF_LOOPBACK = 0x8

_RTM_NEWLINK = 16
_RTM_DELLINK = 17
#: What asks for a device, for `netlink.Netlink.request` after its `head`.
ASK = 18

_IFLA_ADDRESS = 1
_IFLA_IFNAME = 3
_IFLA_MTU = 4
_IFLA_LINK = 5
_IFLA_MASTER = 10
_IFLA_LINKINFO = 18
_IFLA_NET_NS_PID = 19
_IFLA_STATS64 = 23
_IFLA_AF_SPEC = 26
_IFLA_NET_NS_FD = 28
_IFLA_EXT_MASK = 29
_IFLA_NUM_TX_QUEUES = 31
_IFLA_NUM_RX_QUEUES = 32
_IFLA_INFO_KIND = 1
_IFLA_INFO_DATA = 2
_IFLA_INET6_ADDR_GEN_MODE = 8
_IN6_ADDR_GEN_MODE_NONE = 1
_RTEXT_FILTER_SKIP_STATS = 1 << 3
_AF_INET6 = 10

_LINK = 16  # struct ifinfomsg
_ENODEV = 19
_IPV6 = "/proc/sys/net/ipv6"  # absent from a kernel that was started without


class Device:
    """What is known of a network device.

    Attributes:
        index: its number in its namespace.
        name: its name there.
        kind: what made it: "veth", "bridge", …; "" for hardware and the loopback device.
        flags: IFF_*.
        mac: its hardware address, six bytes; empty where it has none.
        mtu: the largest packet, in bytes.
        master: the index of the bridge that it is a port of; 0 without.
        link: the index of its other end or of what it lies upon, in that device's namespace; 0 without.
    """

    __slots__ = ("flags", "index", "kind", "link", "mac", "master", "mtu", "name")

    def __init__(self, index: int, flags: int) -> None:
        self.index = index
        self.flags = flags
        self.name = ""
        self.kind = ""
        self.mac = b""
        self.mtu = 0
        self.master = 0
        self.link = 0

    @property
    def is_up(self) -> bool:
        """Whether it is switched on."""
        return bool(self.flags & IFF_UP)


class Statistics:
    """What went through a device since it was made, as it counts itself."""

    __slots__ = (
        "rx_bytes",
        "rx_dropped",
        "rx_errors",
        "rx_packets",
        "tx_bytes",
        "tx_dropped",
        "tx_errors",
        "tx_packets",
    )

    def __init__(self, counters: list[int]) -> None:
        self.rx_packets, self.tx_packets, self.rx_bytes, self.tx_bytes = counters[:4]
        self.rx_errors, self.tx_errors, self.rx_dropped, self.tx_dropped = counters[4:8]


def head(device: int | str, flags: int = 0, change: int = 0) -> bytes:
    """The start of a message about a device, which is named by its index or its name."""
    if isinstance(device, str):
        return _head(0, flags, change) + text(_IFLA_IFNAME, device)
    return _head(device, flags, change)


def find(netlink: Netlink, name: str) -> int | None:
    """A device's index; None if there is none with that name."""
    try:
        [body] = netlink.request(f"find network device {name}", ASK, head(name) + _WITHOUT_STATISTICS)
    except OSError as error:
        if error.errno == _ENODEV:
            return None
        raise
    return int.from_bytes(body[4:8], sys.byteorder)


def get(netlink: Netlink, device: int | str) -> Device | None:
    """What is known of a device; None if there is none."""
    try:
        [body] = netlink.request(f"look at network device {device}", ASK, head(device) + _WITHOUT_STATISTICS)
    except OSError as error:
        if error.errno == _ENODEV:
            return None
        raise
    return _device(body)


def devices(netlink: Netlink, *, master: int = 0, kind: str = "") -> list[Device]:
    """All devices, or those that are ports of a bridge, or of a kind."""
    body = _head(0) + _WITHOUT_STATISTICS
    if master:
        body += u32(_IFLA_MASTER, master)
    if kind:
        body += nest(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, kind.encode()))
    found = [_device(each) for each in netlink.dump("list network devices", ASK, body)]
    return [each for each in found if master in {0, each.master} and kind in {"", each.kind}]


def names(netlink: Netlink) -> dict[int, str]:
    """The name of every device, by its index."""
    return {device.index: device.name for device in devices(netlink)}


def statistics(netlink: Netlink, device: int | str) -> Statistics | None:
    """A device's counters; None if there is no such device."""
    try:
        [body] = netlink.request(f"count for network device {device}", ASK, head(device))
    except OSError as error:
        if error.errno == _ENODEV:
            return None
        raise
    for kind, value in attributes(body[_LINK:]):
        if kind == _IFLA_STATS64:
            return Statistics([int.from_bytes(value[at : at + 8], sys.byteorder) for at in range(0, 64, 8)])
    return None


def create(
    requests: Requests,
    kind: str,
    name: str,
    data: bytes = b"",
    *,
    mac: bytes = b"",
    mtu: int = 0,
    link: int = 0,
    master: int = 0,
    up: bool = False,
    namespace: int = -1,
    process: int = 0,
    queues: int = 0,
) -> None:
    """Make a device: what the modules of its kinds do.

    ``data`` are the attributes that only its kind has; ``mac``, ``mtu`` and ``queues`` are the kernel's choice without;
    ``link`` is the index of what it lies upon. It is born in ``namespace`` (a descriptor) or that of ``process`` (a
    pid) if one is given.

    Raises:
        OSError: EEXIST if the name is in use there; EOPNOTSUPP if this kernel has no such devices.
    """
    requests.request(
        f"create {kind} {name}",
        _RTM_NEWLINK,
        _head(0, IFF_UP if up else 0, IFF_UP if up else 0)
        + described(name, mac, mtu, namespace, process, queues)
        + (u32(_IFLA_LINK, link) if link else b"")
        + (u32(_IFLA_MASTER, master) if master else b"")
        + nest(
            _IFLA_LINKINFO,
            attribute(_IFLA_INFO_KIND, kind.encode()),
            nest(_IFLA_INFO_DATA, data) if data else b"",
        ),
        NLM_F_CREATE | NLM_F_EXCL,
    )


def described(name: str, mac: bytes, mtu: int, namespace: int, process: int, queues: int) -> bytes:
    """The attributes that any device can be made with."""
    found = text(_IFLA_IFNAME, name)
    if mac:
        found += attribute(_IFLA_ADDRESS, mac)
    if mtu:
        found += u32(_IFLA_MTU, mtu)
    if namespace >= 0:
        found += u32(_IFLA_NET_NS_FD, namespace)
    elif process:
        found += u32(_IFLA_NET_NS_PID, process)
    if queues:
        found += u32(_IFLA_NUM_TX_QUEUES, queues) + u32(_IFLA_NUM_RX_QUEUES, queues)
    return found


def change(
    requests: Requests,
    device: int | str,
    *,
    up: bool | None = None,
    name: str = "",
    mac: bytes = b"",
    mtu: int = 0,
    master: int | None = None,
    link_local: bool = True,
) -> None:
    """Change what is given of a device; ``master=0`` takes it from its bridge.

    ``link_local=False`` has it get no IPv6 address by itself when it is switched on. A new ``name`` needs a device that
    is given by index.
    """
    body = head(device, IFF_UP if up else 0, 0 if up is None else IFF_UP)
    if name:
        body += text(_IFLA_IFNAME, name)
    if mac:
        body += attribute(_IFLA_ADDRESS, mac)
    if mtu:
        body += u32(_IFLA_MTU, mtu)
    if master is not None:
        body += u32(_IFLA_MASTER, master)
    if not link_local and os.path.isdir(_IPV6):
        mode = attribute(_IFLA_INET6_ADDR_GEN_MODE, bytes((_IN6_ADDR_GEN_MODE_NONE,)))
        body += nest(_IFLA_AF_SPEC, nest(_AF_INET6, mode))
    requests.request(f"change network device {device}", _RTM_NEWLINK, body)


def delete(requests: Requests, device: int | str) -> None:
    """Delete a device, a veth's other end with it; one that is not there is no error.

    The kernel takes some 25 ms for it, because it waits until nobody can be looking at the device any more.
    """
    requests.request(f"delete network device {device}", _RTM_DELLINK, head(device), 0, (_ENODEV,))


def move(requests: Requests, index: int, namespace: int, name: str) -> None:
    """Put a device into another network namespace under a new name, in which ``%d`` stands for a free number.

    It arrives switched off and without addresses.
    """
    body = _head(index) + u32(_IFLA_NET_NS_FD, namespace) + text(_IFLA_IFNAME, name)
    requests.request("RTM_NEWLINK", _RTM_NEWLINK, body)


def set_up(requests: Requests, device: int | str) -> None:
    """Switch a device on."""
    requests.request("RTM_NEWLINK up", _RTM_NEWLINK, head(device, IFF_UP, IFF_UP))


def _head(index: int, flags: int = 0, change: int = 0) -> bytes:
    return (
        bytes(4)
        + index.to_bytes(4, sys.byteorder)
        + flags.to_bytes(4, sys.byteorder)
        + change.to_bytes(4, sys.byteorder)
    )


_WITHOUT_STATISTICS = u32(_IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)


def _device(body: bytes) -> Device:
    made = Device(int.from_bytes(body[4:8], sys.byteorder), int.from_bytes(body[8:12], sys.byteorder))
    for kind, value in attributes(body[_LINK:]):
        if kind == _IFLA_IFNAME:
            made.name = value.rstrip(b"\0").decode(errors="surrogateescape")
        elif kind == _IFLA_ADDRESS:
            made.mac = value
        elif kind == _IFLA_MTU:
            made.mtu = int.from_bytes(value, sys.byteorder)
        elif kind == _IFLA_MASTER:
            made.master = int.from_bytes(value, sys.byteorder)
        elif kind == _IFLA_LINK:
            made.link = int.from_bytes(value, sys.byteorder)
        elif kind == _IFLA_LINKINFO:
            for inner, content in attributes(value):
                if inner == _IFLA_INFO_KIND:
                    made.kind = content.rstrip(b"\0").decode()
    return made
