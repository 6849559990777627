"""Links between containers of a network on which containers otherwise do not reach each other (``enable_icc=false``).

A container that is linked to another, ``--link CONTAINER:ALIAS``, uses the ports that the other exposes. What is so follows
from the endpoints; whoever connects a container has the rules follow, and takes away what they said of who had its address.
"""

from __future__ import annotations

from orlop.network import endpoint, protection
from orlop.network.firewall.firewall import FirewallGone
from orlop.network.firewall.link import Link
from orlop.network.firewall.port import PROTOCOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.network.endpoint import Endpoint
    from orlop.network.place import Place
    from orlop.network.record import Network

_SHORT = 12  # the digits of an id that stand for it


def follow(place: Place, network: Network, one: Endpoint) -> None:
    """Have the rules say which ports of others a container may use that comes to a network, and who may use its own.

    Raises:
        OSError: the kernel refused.
    """
    found = []
    for other in endpoint.on_network(place, network.id):
        if other.container != one.container:
            found += [*between(one, other), *between(other, one)]
    with protection.firewall_of(place) as firewall:
        try:
            firewall.keep_links(one.addresses, found)
            return
        except FirewallGone:
            pass  # somebody has flushed the rules
    protection.restore(place)


def every(endpoints: Iterable[Endpoint]) -> list[Link]:
    """All links between containers of one network."""
    there = list(endpoints)
    linked = [each for each in there if each.links]
    return [link for asker in linked for other in there if other is not asker for link in between(asker, other)]


def between(asker: Endpoint, other: Endpoint) -> list[Link]:
    """What one container may use of another, whose network it is on."""
    names = (other.container_name, other.container, other.container[:_SHORT])
    if not any(each.partition(":")[0] in names for each in asker.links):
        return []
    ports = [text.partition("/") for text in other.exposed]
    return [
        Link(source, address, protocol or "tcp", int(port))
        for port, _, protocol in ports
        for source in asker.addresses
        for address in other.addresses
        if port.isdecimal() and (protocol or "tcp") in PROTOCOLS and (":" in source) == (":" in address)
    ]
