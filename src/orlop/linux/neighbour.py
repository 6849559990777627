"""Who is reached at which hardware address, and behind which port or machine that is, through `netlink`.

Sources: rtnetlink(7), linux/neighbour.h, ip-neighbour(8), bridge(8).
"""

from __future__ import annotations

import _socket
import sys

from orlop.linux.netlink import NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE, attribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Requests

_RTM_NEWNEIGH = 28
_RTM_DELNEIGH = 29

_NDA_DST = 1
_NDA_LLADDR = 2
_NUD_NOARP = 0x40
_NUD_PERMANENT = 0x80
_NTF_SELF = 0x02
_AF_BRIDGE = 7
_ENOENT = 2

#: Who gets everything whose place is not known.
ANYBODY = bytes(6)


def add(requests: Requests, index: int, address: str, mac: bytes) -> None:
    """Tell a device at which hardware address ``address`` is, for good; what it knew of it is replaced."""
    body = _head(address, index, _NUD_PERMANENT) + attribute(_NDA_LLADDR, mac)
    requests.request(f"add neighbour {address}", _RTM_NEWNEIGH, body, NLM_F_CREATE | NLM_F_REPLACE)


def remove(requests: Requests, index: int, address: str) -> None:
    """Forget a neighbour; one that is not known is no error."""
    requests.request(f"remove neighbour {address}", _RTM_DELNEIGH, _head(address, index, 0), 0, (_ENOENT,))


def add_forwarding(requests: Requests, index: int, mac: bytes, machine: str) -> None:
    """Tell a VXLAN device behind which ``machine`` a hardware address is. `ANYBODY` may be behind several."""
    flags = NLM_F_CREATE | (NLM_F_APPEND if mac == ANYBODY else NLM_F_REPLACE)
    requests.request(f"add forwarding to {machine}", _RTM_NEWNEIGH, _forwarding(index, mac, machine), flags)


def remove_forwarding(requests: Requests, index: int, mac: bytes, machine: str) -> None:
    """Forget what `add_forwarding` told; what is not known is no error."""
    what = f"remove forwarding to {machine}"
    requests.request(what, _RTM_DELNEIGH, _forwarding(index, mac, machine), 0, (_ENOENT,))


def _head(address: str, index: int, state: int) -> bytes:
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    return _message(family, index, state, 0) + attribute(_NDA_DST, _socket.inet_pton(family, address))


def _forwarding(index: int, mac: bytes, machine: str) -> bytes:
    family = _socket.AF_INET6 if ":" in machine else _socket.AF_INET
    head = _message(_AF_BRIDGE, index, _NUD_NOARP | _NUD_PERMANENT, _NTF_SELF)
    return head + attribute(_NDA_LLADDR, mac) + attribute(_NDA_DST, _socket.inet_pton(family, machine))


def _message(family: int, index: int, state: int, flags: int) -> bytes:
    return (
        bytes((family, 0, 0, 0))
        + index.to_bytes(4, sys.byteorder)
        + state.to_bytes(2, sys.byteorder)
        + bytes((flags, 0))
    )
