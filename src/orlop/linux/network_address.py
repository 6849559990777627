"""Addresses of network devices, through `netlink`.

Sources: rtnetlink(7), linux/if_addr.h.
"""

from __future__ import annotations

import _socket
import sys

from orlop.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, attribute, attributes, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Netlink, Requests

_RTM_NEWADDR = 20
_RTM_DELADDR = 21
_RTM_GETADDR = 22

_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_IFA_LABEL = 3
_IFA_BROADCAST = 4
_IFA_FLAGS = 8
_IFA_F_NODAD = 0x02
_IFA_F_PERMANENT = 0x80
_IFA_F_NOPREFIXROUTE = 0x200
#: What the kernel found out about an address, and finds out again: temporary, DAD failed, homeaddress and the like
#: are left out of what is asked for anew.
_IFA_F_ASKED_FOR = 0x02 | 0x100 | 0x200 | 0x400  # NODAD, MANAGETEMPADDR, NOPREFIXROUTE, MCAUTOJOIN
_RT_SCOPE_UNIVERSE = 0
_RT_SCOPE_LINK = 253

_ADDRESS = 8  # struct ifaddrmsg
_LONGEST_NAME = 15
_EADDRNOTAVAIL = 99


class Address:
    """An address of a device, as it can be given to one again.

    Attributes:
        family: AF_INET or AF_INET6.
        prefix: the length of its network's prefix, in bits.
        details: the kernel's attributes of it, without its flags.
        flags: IFA_F_*.
        scope: RT_SCOPE_*.
        device: the device's index.
    """

    __slots__ = ("details", "device", "family", "flags", "prefix", "scope")

    def __init__(
        self, device: int, family: int, prefix: int, flags: int, scope: int, details: list[tuple[int, bytes]]
    ) -> None:
        self.device = device
        self.family = family
        self.prefix = prefix
        self.flags = flags
        self.scope = scope
        self.details = details

    @property
    def is_lasting(self) -> bool:
        """Whether somebody gave it to the device for good, to be reached from anywhere."""
        return bool(self.flags & _IFA_F_PERMANENT) and self.scope == _RT_SCOPE_UNIVERSE

    @property
    def text(self) -> str:
        """The address itself, without its prefix."""
        found = b""
        for kind, value in self.details:
            if kind == _IFA_LOCAL or (kind == _IFA_ADDRESS and not found):
                found = value  # of a device to one peer alone, IFA_ADDRESS is the peer's
        return _socket.inet_ntop(self.family, found) if found else ""


def addresses(netlink: Netlink, index: int = 0) -> list[Address]:
    """A device's addresses of every family, or those of all devices."""
    found = []
    header = bytes(4) + index.to_bytes(4, sys.byteorder)
    for body in netlink.dump("list network addresses", _RTM_GETADDR, header):
        device = int.from_bytes(body[4:8], sys.byteorder)
        if index and device != index:
            continue  # a kernel that does not filter
        flags = body[2]
        details = []
        for kind, value in attributes(body[_ADDRESS:]):
            if kind == _IFA_FLAGS:
                flags = int.from_bytes(value, sys.byteorder)
            else:
                details.append((kind, value))
        found.append(Address(device, body[0], body[1], flags, body[3], details))
    return found


def add(requests: Requests, index: int, address: str, prefix: int, *, prefix_route: bool = True) -> None:
    """Give a device an address; one that it has already stays.

    It can be used at once: whether another machine has the same IPv6 address is not looked into.
    ``prefix_route``: whether the device's network gets a route with it.
    """
    flags = _IFA_F_NODAD if ":" in address else 0
    if not prefix_route:
        flags |= _IFA_F_NOPREFIXROUTE
    body = _message(index, address, prefix, flags)
    requests.request(f"add address {address}/{prefix}", _RTM_NEWADDR, body, NLM_F_CREATE | NLM_F_REPLACE)


def remove(requests: Requests, index: int, address: str, prefix: int) -> None:
    """Take an address from a device; one that it does not have is no error."""
    body = _message(index, address, prefix, 0)
    requests.request(f"remove address {address}/{prefix}", _RTM_DELADDR, body, 0, (_EADDRNOTAVAIL,))


def _message(index: int, address: str, prefix: int, flags: int) -> bytes:
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    packed = _socket.inet_pton(family, address)
    scope = _RT_SCOPE_LINK if address.startswith("fe80:") else _RT_SCOPE_UNIVERSE
    body = bytes((family, prefix, 0, scope)) + index.to_bytes(4, sys.byteorder)
    body += attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
    if family == _socket.AF_INET and prefix < 31:
        hosts = (1 << (32 - prefix)) - 1
        body += attribute(_IFA_BROADCAST, (int.from_bytes(packed, "big") | hosts).to_bytes(4, "big"))
    return body + u32(_IFA_FLAGS, flags)


def add_again(requests: Requests, index: int, address: Address, old_name: str, name: str) -> None:
    """Give a device an address that it, under ``old_name``, had elsewhere."""
    flags = address.flags & _IFA_F_ASKED_FOR
    body = bytes((address.family, address.prefix, flags & 0xFF, address.scope)) + index.to_bytes(4, sys.byteorder)
    body += u32(_IFA_FLAGS, flags)
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
    text = f"{address.text}/{address.prefix}"
    requests.request(f"RTM_NEWADDR {text}", _RTM_NEWADDR, body, NLM_F_CREATE | NLM_F_EXCL)
