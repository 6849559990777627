"""Web pages that have somebody's browser speak to a server over TCP, which the user at the browser may not know of.

A browser lets any page send requests to any address, this machine's own too, and open WebSockets to it. It says in ``Origin``
which page that was (RFC 6454, and RFC 6455, 10.2). What is no browser says nothing there, or the server's own address.
"""

from __future__ import annotations

import ipaddress
import socket

from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.api.exchange import Request


class ForeignPage(OrlopError):
    """A page of another site asks."""

    http_status = 403


def check(request: Request) -> None:
    """Refuse what a page of another site asks for.

    A page's own name may be made to mean this machine, after the browser has loaded it (DNS rebinding). So a name counts as
    the server's only if the machine has it, or if certificates have shown both sides whom they speak to.

    Raises:
        ForeignPage: it is one.
    """
    origin = request.headers.get("origin")
    if origin is None or request.peer.is_local:
        return
    place = origin.partition("://")[2].lower()
    is_same = bool(place) and place == request.headers.get("host", "").lower()
    if not is_same or not (request.peer.certificate or _is_machine(place)):
        raise ForeignPage(f"web pages of {origin} may not use this server")


def _is_machine(place: str) -> bool:
    name = place.rpartition("]")[0].lstrip("[") if place.startswith("[") else place.partition(":")[0]
    if name in ("localhost", socket.gethostname().lower()):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
