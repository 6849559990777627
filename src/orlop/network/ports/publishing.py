"""Having ports of the host lead to a container: by rules of the kernel, and where these cannot do it by the proxy.

The kernel's rules translate addresses within one version of the protocol. What comes by the other one, to a container that
has no address of that, is the proxy's; and so is what programs of the host send to ``::1``.
"""

from __future__ import annotations

import _socket

from orlop.network import inside, protection, record, store
from orlop.network.firewall.port import Port
from orlop.network.ports import claims, published
from orlop.network.ports.published import Target
from orlop.network.ports.specification import SCTP
from orlop.network.subnet import Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orlop.network.endpoint import Endpoint
    from orlop.network.place import Place
    from orlop.network.ports.published import InForce, Published

#: Versions of the protocol, by their numbers, by the fields of endpoints, and by the network's option for its mode.
_FAMILIES = (
    (_socket.AF_INET, "ipv4", record.GATEWAY_MODE_IPV4),
    (_socket.AF_INET6, "ipv6", record.GATEWAY_MODE_IPV6),
)
_ROUTED = "routed"
_LOOPBACK = "::1"


def targets(place: Place, endpoints: Iterable[Endpoint]) -> dict[int, Target]:
    """Where a container's ports lead, by the version of the protocol.

    That is by which it reaches the outside through a bridge. On other networks nothing is published: the container is there
    with an address of its own, or nobody can reach it.
    """
    bridges = {}
    for each in endpoints:
        network = store.read(place, each.network)
        if network is not None and network.driver == record.BRIDGE and not network.internal:
            bridges[each.network] = (each, network)
    chosen = inside.choose_gateways([each for each, _ in bridges.values()])
    found = {}
    for family, word, mode in _FAMILIES:
        if word in chosen:
            network = bridges[chosen[word].network][1]
            address = str(getattr(chosen[word], word)).partition("/")[0]
            found[family] = Target(address, network.bridge, is_routed=network.options.get(mode) == _ROUTED)
    return found


def put(place: Place, container_id: str, in_force: InForce) -> None:
    """Write down what a container has published, and have the kernel forward it.

    Raises:
        OSError: there is no space, or the kernel refused.
    """
    in_force.write(place, container_id)
    if in_force.inside:
        return
    try:
        protection.publish(place, forwarded(in_force, in_force.ports))
    except BaseException:
        published.forget(place, container_id)
        raise


def exchange(place: Place, container_id: str, before: InForce | None, after: InForce) -> None:
    """Have other ports, or other addresses, be in force in place of those that were.

    Raises:
        OSError: there is no space, or the kernel refused.
    """
    after.write(place, container_id)
    if after.inside:
        return
    kept = forwarded(after, after.ports)
    known = {_key(each) for each in kept}
    gone = forwarded(before, before.ports) if before is not None else []
    gone = [each for each in gone if _key(each) not in known]
    protection.retract(place, gone)
    protection.publish(place, kept)
    protection.end_connections(place, gone)


def close(place: Place, container_id: str) -> None:
    """Have nothing lead to a container any more whose program has ended. The caller holds its claims, and lets go of them then.

    Whoever changes where a port leads has to hold it: else a rule could be removed that is the next one's already.

    Raises:
        OSError: there is no space, or the kernel refused.
    """
    in_force = published.read(place, container_id)
    if in_force is not None and not in_force.is_over and not in_force.inside:
        protection.retract(place, forwarded(in_force, in_force.ports))
        in_force.is_over = True
        in_force.write(place, container_id)


def withdraw(place: Place, container_id: str) -> None:
    """Clear away what was published of a container that has ended; nothing happens if nothing was.

    Raises:
        OSError: the kernel refused.
    """
    in_force = published.read(place, container_id)
    if in_force is not None and not in_force.inside:
        if not in_force.is_over:  # whoever held the claims was killed
            held = claims.Claims()
            mine = [each for each in in_force.ports if held.try_to_hold(each)]
            try:
                protection.retract(place, forwarded(in_force, mine))
            finally:
                held.close()
        protection.end_connections(place, forwarded(in_force, in_force.ports))
    published.forget(place, container_id)


def every(place: Place) -> list[Port]:
    """What the kernel forwards for all containers of the engine, from what is written down."""
    found: list[Port] = []
    for container_id in published.containers(place):
        in_force = published.read(place, container_id)
        if in_force is not None and not in_force.is_over:
            found += forwarded(in_force, in_force.ports)
    return found


def forwarded(in_force: InForce, ports: Iterable[Published]) -> list[Port]:
    """What the kernel has to do for these ports."""
    return [
        Port(
            each.protocol,
            each.address or published.ANY[family],
            each.number,
            in_force.targets[family].address,
            each.container_port,
            source=source,
            interface=each.interface,
            bridge=in_force.targets[family].bridge,
            direct=in_force.targets[family].is_routed,
        )
        for each in ports
        for family in each.families
        if family in in_force.targets and each.address != _LOOPBACK
        for source in _sources(each, family)
    ]


def _key(port: Port) -> tuple[str | int | bool, ...]:
    """What makes two ports the same to the kernel."""
    return tuple(getattr(port, name) for name in Port.__slots__)


def _sources(port: Published, family: int) -> Sequence[str]:
    if not port.sources:
        return ("",)
    return [each for each in port.sources if Subnet.parse(each).family == family]


def served(place: Place, in_force: InForce) -> Sequence[Published]:
    """The ports that the proxy has to serve: all of an ordinary user's, whose rules count in a namespace of the engine's."""
    if place.rootless:
        return in_force.ports
    return [each for each in in_force.ports if _needs_proxy(in_force, each)]


def _needs_proxy(in_force: InForce, port: Published) -> bool:
    if port.protocol == SCTP or not in_force.targets:
        return False
    # What comes to ::1 the kernel gives to nobody but the host itself, whatever its rules say.
    if _socket.AF_INET6 in port.families and port.address in ("", published.ANY[_socket.AF_INET6], _LOOPBACK):
        return True
    return any(family not in in_force.targets for family in port.families)
