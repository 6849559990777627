"""Publishing a container's ports when it starts: before it is made they are claimed, before its program runs they lead to it."""

from __future__ import annotations

import _socket
import time

from orlop.engine import birth, network_mode
from orlop.errors import OrlopError
from orlop.network import home, store
from orlop.network import record as network_record
from orlop.network.ports import claims, published, publishing
from orlop.network.ports.published import ANY, InForce

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.network.endpoint import Endpoint

#: How often, and after how many seconds, a port is asked for again that is just being given back.
_ATTEMPTS = 50
_PAUSE = 0.01


def is_wanted(record: Mapping[str, Any]) -> bool:
    """Whether a container has anything to publish."""
    host = record["HostConfig"]
    return bool(host.get("PortBindings") or host.get("PublishAllPorts"))


class Publication:
    """What a container publishes, from before it is made on.

    Raises:
        Conflict: somebody has one of the ports, which the message names.
        OrlopError: as `orlop.network.ports.claims.Claims.add`.
    """

    __slots__ = ("_claims", "_target")

    def __init__(self, target: Container) -> None:
        self._target = target
        self._claims = claims.Claims()
        attempts = _ATTEMPTS
        while True:
            try:
                self._claims.add(placed(target.location, target.record, asked(target.record)))
                return
            except claims.Taken as taken:
                from orlop.engine import port_holder

                self._claims.close()
                attempts -= 1
                if not attempts or not port_holder.is_passing(target.location, taken):
                    raise port_holder.explain(target.location, taken) from None
            except BaseException:
                self._claims.close()
                raise
            time.sleep(_PAUSE)

    def put_in_force(self, endpoints: Iterable[Endpoint], inside: int = 0) -> dict[str, int]:
        """Have the ports lead to the container on these networks; the descriptors that its monitor has to hold.

        ``inside`` is the pid of its first process if it is on an ordinary user's network instead.

        Raises:
            OSError: there is no space, or the kernel refused.
        """
        place = self._target.location.networks
        in_force = InForce(self._claims.published, publishing.targets(place, endpoints), inside=inside)
        if not in_force.targets and not inside:
            self._claims.close()  # on such a network ports are nobody's business
            return {}
        _do(self._target.location, in_force, lambda: publishing.put(place, self._target.id, in_force))
        queue, watched = self._claims.pack(publishing.served(place, in_force))
        return {birth.PORTS: queue} if watched < 0 else {birth.PORTS: queue, birth.PORTS_WATCHED: watched}


def exchange(location: Location, container_id: str, before: InForce | None, after: InForce) -> None:
    """Have other ports, or other addresses, be in force, as `orlop.network.ports.publishing.exchange`."""
    _do(location, after, lambda: publishing.exchange(location.networks, container_id, before, after))


def close(location: Location, container_id: str) -> None:
    """Have nothing lead to a container any more, as `orlop.network.ports.publishing.close`."""
    in_force = published.read(location.networks, container_id)
    if in_force is not None and not _is_gone(location):
        _do(location, in_force, lambda: publishing.close(location.networks, container_id))


def withdraw(location: Location, container_id: str) -> None:
    """Clear away what was published of a container, as `orlop.network.ports.publishing.withdraw`."""
    in_force = published.read(location.networks, container_id) or InForce((), {})
    if _is_gone(location):
        published.forget(location.networks, container_id)
    else:
        _do(location, in_force, lambda: publishing.withdraw(location.networks, container_id))


def _is_gone(location: Location) -> bool:
    """Whether the place is gone where an ordinary user's rules were."""
    return location.rootless and not home.holder(location.networks)


def _do(location: Location, in_force: InForce, action: Callable[[], None]) -> None:
    """Do something about the kernel's rules where these are; an ordinary user's containers with a network each have none."""
    if location.rootless and not in_force.inside:
        from orlop.engine import network_home

        network_home.run(location, action)
    else:
        action()


def asked(record: Mapping[str, Any]) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Docker's ``PortBindings`` with what ``PublishAllPorts`` adds to them."""
    host = record["HostConfig"]
    return claims.every(
        host.get("PortBindings"),
        record["Config"].get("ExposedPorts") or (),
        publish_all=bool(host.get("PublishAllPorts")),
    )


def placed(
    location: Location, record: Mapping[str, Any], bindings: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Docker's ``PortBindings`` with the address that a container's network has for ports which name none."""
    address = _default_address(location, record)
    if not address:
        return bindings
    return {
        port: [{**each, "HostIp": each.get("HostIp") or address} for each in several]
        for port, several in bindings.items()
    }


def _default_address(location: Location, record: Mapping[str, Any]) -> str:
    for name in network_mode.wanted(record):
        try:
            network = store.find(location.networks, name)
        except OrlopError:
            continue  # which is told when the container is connected to it
        if network.driver == network_record.BRIDGE:
            said = str(network.options.get(network_record.HOST_BINDING_IPV4, ""))
            return "" if said == ANY[_socket.AF_INET] else said  # which is what nothing would mean, too
    return ""
