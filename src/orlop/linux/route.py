"""Routes, through `netlink`.

Sources: rtnetlink(7), linux/rtnetlink.h, ip-route(8).
"""

from __future__ import annotations

import _socket
import sys

from orlop.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, attribute, attributes, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Netlink, Requests

MAIN = 254
LOCAL = 255

UNICAST = 1
LOCAL = 2
BLACKHOLE = 6
UNREACHABLE = 7

_RTM_NEWROUTE = 24
_RTM_DELROUTE = 25
_RTM_GETROUTE = 26

_RTA_DST = 1
_RTA_OIF = 4
_RTA_GATEWAY = 5
_RTA_PRIORITY = 6
_RTA_PREFSRC = 7
_RTA_MULTIPATH = 9
_RTA_TABLE = 15
_RTM_F_CLONED = 0x200
_RTNH_F_ONLINK = 4
_RTPROT_BOOT = 3
_RT_SCOPE_UNIVERSE = 0
_RT_SCOPE_LINK = 253
_RT_SCOPE_HOST = 254
#: How far what has no gateway is, by the kind of the route.
_SCOPES = {UNICAST: _RT_SCOPE_LINK, LOCAL: _RT_SCOPE_HOST}

_ROUTE = 12  # struct rtmsg
_RTNEXTHOP = 8  # struct rtnexthop
_ESRCH = 3


class Route:
    """A route that is there.

    Attributes:
        destination: its network as "10.0.0.0/8"; "0.0.0.0/0" or "::/0" for everything else.
        kind: UNICAST, BLACKHOLE and so on (RTN_*).
        device: the index of the device by which packets leave; 0 without.
        gateway: who takes them on; "" if they are delivered directly.
        source: the address that packets of this machine's own get; "" if that is not said.
        metric: among routes to the same place the lowest counts.
        table: the routing table's number.
    """

    __slots__ = ("destination", "device", "gateway", "kind", "metric", "source", "table")

    def __init__(self, destination: str, kind: int, table: int) -> None:
        self.destination = destination
        self.kind = kind
        self.table = table
        self.device = 0
        self.gateway = ""
        self.source = ""
        self.metric = 0


def add(
    requests: Requests,
    destination: str,
    *,
    device: int = 0,
    gateway: str = "",
    source: str = "",
    metric: int = 0,
    kind: int = UNICAST,
    table: int = MAIN,
    onlink: bool = False,
    replace: bool = False,
) -> None:
    """Add a route to ``destination`` ("10.0.0.0/8", "0.0.0.0/0", "::/0").

    ``onlink`` takes a gateway that no route leads to as one that is reached by ``device`` directly.

    Raises:
        OSError: EEXIST if there is one, unless it is to be replaced; ENETUNREACH if the gateway cannot be reached.
    """
    body = _message(destination, device, gateway, source, metric, kind, table, onlink=onlink)
    by = f" via {gateway}" if gateway else ""
    flags = NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL)
    requests.request(f"add route to {destination}{by}", _RTM_NEWROUTE, body, flags)


def remove(
    requests: Requests,
    destination: str,
    *,
    device: int = 0,
    gateway: str = "",
    metric: int = 0,
    kind: int = UNICAST,
    table: int = MAIN,
) -> None:
    """Remove the route that is described; one that is not there is no error."""
    body = _message(destination, device, gateway, "", metric, kind, table, onlink=False, removal=True)
    requests.request(f"remove route to {destination}", _RTM_DELROUTE, body, 0, (_ESRCH,))


def routes(netlink: Netlink, family: int = 0, table: int = MAIN) -> list[Route]:
    """The routes of a table, of one family or of both. One with several next hops is listed once for each."""
    found = []
    for each in (family,) if family else (_socket.AF_INET, _socket.AF_INET6):
        request = bytes((each, 0, 0, 0, 0, 0, 0, 0)) + bytes(4) + u32(_RTA_TABLE, table)
        for body in netlink.dump("list routes", _RTM_GETROUTE, request):
            if not int.from_bytes(body[8:12], sys.byteorder) & _RTM_F_CLONED:
                found += _read(body, table)
    return found


def _message(
    destination: str,
    device: int,
    gateway: str,
    source: str,
    metric: int,
    kind: int,
    table: int,
    *,
    onlink: bool,
    removal: bool = False,
) -> bytes:
    network, _, length = destination.partition("/")
    family = _socket.AF_INET6 if ":" in network else _socket.AF_INET
    # A removal that names the widest scope but one, RT_SCOPE_NOWHERE, finds a route of any.
    scope = _RT_SCOPE_UNIVERSE if gateway or kind not in _SCOPES else _SCOPES[kind]
    scope = 255 if removal else scope
    body = bytes((family, int(length), 0, 0, table if table < 256 else 0, _RTPROT_BOOT, scope, kind))
    body += (_RTNH_F_ONLINK if onlink else 0).to_bytes(4, sys.byteorder)
    if int(length):
        body += attribute(_RTA_DST, _socket.inet_pton(family, network))
    if gateway:
        body += attribute(_RTA_GATEWAY, _socket.inet_pton(family, gateway))
    if source:
        body += attribute(_RTA_PREFSRC, _socket.inet_pton(family, source))
    if device:
        body += u32(_RTA_OIF, device)
    if metric:
        body += u32(_RTA_PRIORITY, metric)
    return body + u32(_RTA_TABLE, table)


def _read(body: bytes, table: int) -> list[Route]:
    family = body[0]
    details = dict(attributes(body[_ROUTE:]))
    in_table = int.from_bytes(details.get(_RTA_TABLE, body[4:5]), sys.byteorder)
    if in_table != table:
        return []  # a kernel that does not filter
    network = details.get(_RTA_DST, bytes(16 if family == _socket.AF_INET6 else 4))
    made = Route(f"{_socket.inet_ntop(family, network)}/{body[1]}", body[7], in_table)
    if _RTA_PREFSRC in details:
        made.source = _socket.inet_ntop(family, details[_RTA_PREFSRC])
    made.metric = int.from_bytes(details.get(_RTA_PRIORITY, b""), sys.byteorder)
    if _RTA_MULTIPATH not in details:
        _lead(made, family, int.from_bytes(details.get(_RTA_OIF, b""), sys.byteorder), details)
        return [made]
    found = []
    hops = details[_RTA_MULTIPATH]
    while len(hops) >= _RTNEXTHOP:
        length = int.from_bytes(hops[:2], sys.byteorder)
        if length < _RTNEXTHOP:
            break
        one = Route(made.destination, made.kind, made.table)
        one.source, one.metric = made.source, made.metric
        device = int.from_bytes(hops[4:8], sys.byteorder)
        _lead(one, family, device, dict(attributes(hops[_RTNEXTHOP:length])))
        found.append(one)
        hops = hops[(length + 3) & ~3 :]
    return found


def _lead(route: Route, family: int, device: int, details: dict[int, bytes]) -> None:
    route.device = device
    if _RTA_GATEWAY in details:
        route.gateway = _socket.inet_ntop(family, details[_RTA_GATEWAY])
