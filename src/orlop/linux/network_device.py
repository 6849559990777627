"""Network devices and their addresses, through `netlink`.

Sources: rtnetlink(7), linux/if_link.h, linux/if_addr.h.
"""

from __future__ import annotations

import _socket
import sys

from orlop.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, attribute, attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Netlink

_RTM_NEWLINK = 16
_RTM_GETLINK = 18
_RTM_NEWADDR = 20
_RTM_GETADDR = 22

_IFLA_IFNAME = 3
_IFLA_EXT_MASK = 29
_IFLA_NET_NS_FD = 28
_RTEXT_FILTER_SKIP_STATS = 1 << 3
_IFF_UP = 0x1

_IFA_LABEL = 3
_IFA_FLAGS = 8
_IFA_F_PERMANENT = 0x80
#: What the kernel found out about an address, and finds out again: temporary, DAD failed, homeaddress and the like
#: are left out of what is asked for anew.
_IFA_F_ASKED_FOR = 0x02 | 0x100 | 0x200 | 0x400  # NODAD, MANAGETEMPADDR, NOPREFIXROUTE, MCAUTOJOIN
_RT_SCOPE_UNIVERSE = 0

_LINK = 16  # struct ifinfomsg
_ADDRESS = 8  # struct ifaddrmsg
_LONGEST_NAME = 15


class Address:
    """An address of a device, as it can be given to one again.

    Attributes:
        family: AF_INET or AF_INET6.
        prefix: the length of its network's prefix, in bits.
        details: the kernel's attributes of it, without its flags.
        flags: IFA_F_*.
        scope: RT_SCOPE_*.
    """

    __slots__ = ("details", "family", "flags", "prefix", "scope")

    def __init__(self, family: int, prefix: int, flags: int, scope: int, details: list[tuple[int, bytes]]) -> None:
        self.family = family
        self.prefix = prefix
        self.flags = flags
        self.scope = scope
        self.details = details

    @property
    def is_lasting(self) -> bool:
        """Whether somebody gave it to the device for good, to be reached from anywhere."""
        return bool(self.flags & _IFA_F_PERMANENT) and self.scope == _RT_SCOPE_UNIVERSE


def _link_header(index: int, flags: int = 0, change: int = 0) -> bytes:
    return (
        bytes(4)
        + index.to_bytes(4, sys.byteorder)
        + flags.to_bytes(4, sys.byteorder)
        + change.to_bytes(4, sys.byteorder)
    )


def _name(name: str) -> bytes:
    return attribute(_IFLA_IFNAME, name.encode() + b"\0")


def find(netlink: Netlink, name: str) -> int | None:
    """A device's index; None if there is none with that name."""
    try:
        [body] = netlink.request(f"find network device {name}", _RTM_GETLINK, _link_header(0) + _name(name))
    except OSError as error:
        if error.errno == 19:  # ENODEV
            return None
        raise
    return int.from_bytes(body[4:8], sys.byteorder)


def names(netlink: Netlink) -> dict[int, str]:
    """The name of every device, by its index."""
    mask = attribute(_IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS.to_bytes(4, sys.byteorder))
    found = {}
    for body in netlink.dump("list network devices", _RTM_GETLINK, _link_header(0) + mask):
        index = int.from_bytes(body[4:8], sys.byteorder)
        for kind, value in attributes(body[_LINK:]):
            if kind == _IFLA_IFNAME:
                found[index] = value.rstrip(b"\0").decode(errors="surrogateescape")
    return found


def move(netlink: Netlink, index: int, namespace: int, name: str) -> None:
    """Put a device into another network namespace under a new name, in which ``%d`` stands for a free number.

    It arrives switched off and without addresses.
    """
    body = _link_header(index) + attribute(_IFLA_NET_NS_FD, namespace.to_bytes(4, sys.byteorder)) + _name(name)
    netlink.request("RTM_NEWLINK", _RTM_NEWLINK, body)


def set_up(netlink: Netlink, index: int) -> None:
    """Switch a device on."""
    netlink.request("RTM_NEWLINK up", _RTM_NEWLINK, _link_header(index, _IFF_UP, _IFF_UP))


def addresses(netlink: Netlink, index: int) -> list[Address]:
    """A device's addresses of every family."""
    found = []
    header = bytes(4) + index.to_bytes(4, sys.byteorder)
    for body in netlink.dump("list network addresses", _RTM_GETADDR, header):
        if int.from_bytes(body[4:8], sys.byteorder) != index:
            continue  # a kernel that does not filter
        flags = body[2]
        details = []
        for kind, value in attributes(body[_ADDRESS:]):
            if kind == _IFA_FLAGS:
                flags = int.from_bytes(value, sys.byteorder)
            else:
                details.append((kind, value))
        found.append(Address(body[0], body[1], flags, body[3], details))
    return found


def add_address(netlink: Netlink, index: int, address: Address, old_name: str, name: str) -> None:
    """Give a device an address that it, under ``old_name``, had elsewhere."""
    flags = address.flags & _IFA_F_ASKED_FOR
    body = bytes((address.family, address.prefix, flags & 0xFF, address.scope)) + index.to_bytes(4, sys.byteorder)
    body += attribute(_IFA_FLAGS, flags.to_bytes(4, sys.byteorder))
    for kind, value in address.details:
        if kind == _IFA_LABEL:
            # "eth0" or "eth0:1": the device's name comes first. One that gets too long is left to the kernel.
            label = value.rstrip(b"\0").decode(errors="surrogateescape")
            if label.startswith(old_name):
                label = name + label[len(old_name) :]
            if len(label) <= _LONGEST_NAME:
                body += attribute(kind, label.encode(errors="surrogateescape") + b"\0")
        else:
            body += attribute(kind, value)
    text = _text(address)
    netlink.request(f"RTM_NEWADDR {text}", _RTM_NEWADDR, body, NLM_F_CREATE | NLM_F_EXCL)


def _text(address: Address) -> str:
    for kind, value in address.details:
        if kind == 1:  # IFA_ADDRESS
            return f"{_socket.inet_ntop(address.family, value)}/{address.prefix}"
    return f"family {address.family}"
