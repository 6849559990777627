"""Networks as users know them, in the words of Docker's API: created, described, connected, removed."""

from __future__ import annotations

import functools

from orlop.engine import container, events, monitor_lock, network_home, network_membership, network_mode, networking
from orlop.errors import Conflict, InvalidArgument, NotFound, OrlopError
from orlop.network import connecting, creation, endpoint, protection, record, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from orlop.engine.location import Location
    from orlop.network.place import Place
    from orlop.network.record import Network


def create(location: Location, wanted: Mapping[str, Any]) -> Network:
    """Make a network of what Docker's ``NetworkCreateRequest`` says; whatever it does not say is as with Docker.

    Raises:
        InvalidArgument: something cannot be right.
        Conflict: the name is in use, or a subnet is.
        Unsupported: there is no such driver, or the machine lacks what it takes.
        NotFound: the network that its configuration is to be taken from is not there.
    """
    made = record.Network("", str(wanted.get("Name") or ""), wanted.get("Driver") or record.BRIDGE)
    if wanted.get("Ingress") or wanted.get("Scope", "local") not in ("", "local"):
        raise InvalidArgument("networks of a swarm are not there: this engine has networks of the scope local only")
    made.internal = bool(wanted.get("Internal"))
    made.attachable = bool(wanted.get("Attachable"))
    made.config_only = bool(wanted.get("ConfigOnly"))
    made.ipv4 = wanted.get("EnableIPv4") is not False
    made.ipv6 = bool(wanted.get("EnableIPv6"))
    made.labels = _texts(wanted.get("Labels"))
    made.options = _texts(wanted.get("Options"))
    ipam = wanted.get("IPAM") or {}
    made.ipam_driver = ipam.get("Driver") or "default"
    made.ipam_options = _texts(ipam.get("Options"))
    for each in ipam.get("Config") or ():
        made.pools += creation.read_pools(
            _one(each.get("Subnet")),
            _one(each.get("IPRange")),
            _one(each.get("Gateway")),
            _texts(each.get("AuxiliaryAddresses") or each.get("AuxAddress")),
        )
    source = (wanted.get("ConfigFrom") or {}).get("Network")
    if source:
        _configure_from(made, store.find(location.networks, source))
    creation.create(location.networks, made)
    networking.tell(location, made, "create")
    return made


def _configure_from(made: Network, source: Network) -> None:
    if not source.config_only:
        raise InvalidArgument(f"network {source.name} is no configuration-only network: nothing can be taken from it")
    if made.options or made.pools or made.ipam_options or made.internal or made.ipv6:
        raise InvalidArgument(
            "user specified configurations are not supported if the network depends on a configuration network"
        )
    made.config_from = source.name
    made.options = dict(source.options)
    made.labels = {**source.labels, **made.labels}
    made.pools = source.pools
    made.ipam_driver, made.ipam_options = source.ipam_driver, dict(source.ipam_options)
    made.internal, made.ipv4, made.ipv6 = source.internal, source.ipv4, source.ipv6


def _one(said: str | None) -> list[str]:
    return [said] if said else []


def _texts(said: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (said or {}).items()}


def every(location: Location) -> Iterator[dict[str, Any]]:
    """All networks as Docker's API lists them: without the containers that are on them."""
    for network in store.every(location.networks):
        yield {**network.fields(), "Containers": {}}


def describe(location: Location, wanted: str) -> dict[str, Any]:
    """What ``network inspect`` shows.

    Raises:
        NotFound: there is no such network.
        InvalidArgument: the beginning of an id fits several.
    """
    network = store.find(location.networks, wanted)
    return {**network.fields(), "Containers": dict(sorted(containers(location, network).items()))}


def containers(location: Location, network: Network) -> dict[str, dict[str, str]]:
    """The containers that are on a network, by their ids."""
    if not network.has_endpoints:
        return _sharing(location, network)
    return {
        each.container: {
            "Name": each.container_name,
            "EndpointID": each.id,
            "MacAddress": each.mac,
            "IPv4Address": each.ipv4,
            "IPv6Address": each.ipv6,
        }
        for each in endpoint.on_network(location.networks, network.id)
    }


def _sharing(location: Location, network: Network) -> dict[str, dict[str, str]]:
    """Running containers with the host's network, or without one."""
    found = {}
    for container_id in monitor_lock.every_id(location):
        try:
            target = container.Container(location, container_id)
            if network.name in network_mode.wanted(target.record, everything=True):
                nothing = dict.fromkeys(("EndpointID", "MacAddress", "IPv4Address", "IPv6Address"), "")
                found[container_id] = {"Name": target.name, **nothing}
        except NotFound:
            continue  # removed just now
    return found


def is_dangling(location: Location, network: Mapping[str, Any]) -> bool:
    """Whether no running container is on a network that somebody has made."""
    is_own = network["Name"] not in (record.BRIDGE, record.HOST, record.NONE)
    return is_own and not endpoint.containers(location.networks, network["Id"])


def remove(location: Location, wanted: str) -> Network:
    """Remove a network, named by a user.

    Raises:
        NotFound: there is none.
        InvalidArgument: it is one that every engine has.
        Conflict: a running container is on it.
    """
    place = location.networks
    network = store.find(place, wanted)
    for container_id in endpoint.containers(place, network.id):
        if not _is_alive(location, container_id):
            monitor_lock.wait(location, container_id)  # which has ended, and is just being cleared away
    remove_it = functools.partial(creation.remove, place, network, networking.runs(location))
    if network_home.is_there(location):
        network_home.run(location, remove_it)
        network_home.end_unused(location)
    else:
        remove_it()  # nothing of it is up
    networking.tell(location, network, "destroy")
    return network


def _is_alive(location: Location, container_id: str) -> bool:
    target = container.Container(location, container_id)
    try:
        return target.state()["Status"] in container.LIVES or target.last_written() == 0
    except OrlopError:
        return True  # its record is damaged: nobody knows


def prune(location: Location, wanted: Callable[[Mapping[str, Any]], bool]) -> list[str]:
    """Remove the networks that no running container is on, and that are wanted to go; returns their names."""
    gone = []
    for network in every(location):
        if is_dangling(location, network) and wanted(network):
            try:
                gone.append(remove(location, network["Id"]).name)
            except (Conflict, NotFound):
                continue  # it just got a container, or somebody else was quicker
    return gone


def reload(location: Location) -> list[str]:
    """Put back what of the networks that are up somebody has removed: bridges, which containers are on, and all rules.

    Returns:
        what a user should know of the host's own rules (`obstacles`), before they are counted anew.

    Raises:
        OrlopError: something cannot be put back.
    """
    place = location.networks
    if not endpoint.networks(place):
        return []
    try:
        found = obstacles(location)
        network_home.run(location, lambda: _reload(place))
        return found
    except OSError as error:
        raise OrlopError(f"cannot put back what of the networks is missing: {error.strerror}") from None


def _reload(place: Place) -> None:
    for network_id in endpoint.networks(place):
        network = store.read(place, network_id)
        if network is not None and endpoint.containers(place, network_id):
            connecting.reattach(place, network)
    protection.restore(place)


def obstacles(location: Location) -> list[str]:
    """What of the host's own rules is in the way of containers: a line for each network that is up, none if nothing is.

    Nobody's rules are read for that: connections are counted that ours let pass, and those of them that came through.
    """
    place = location.networks
    if not endpoint.networks(place) or location.rootless:
        return []  # or there are no rules but ours
    accepted, passed = protection.lost(place)
    if passed >= accepted:
        return []
    said = f"the host's own rules drop {accepted - passed} of {accepted} packets that open connections of containers"
    up = [store.read(place, network_id) for network_id in endpoint.networks(place)]
    return [
        f"{said}: allow forwarding by {each.bridge}, such as with 'nft insert rule inet filter forward iifname "
        f"{each.bridge} accept' and the same with oifname, or beside Docker with 'iptables -I DOCKER-USER -i "
        f"{each.bridge} -j ACCEPT' and -o"
        for each in up
        if each is not None and each.driver == record.BRIDGE
    ]


def connect(location: Location, wanted: str, container_name: str, settings: Mapping[str, Any] | None = None) -> None:
    """Put a container on one more network, at once if it runs; ``settings`` are Docker's ``EndpointSettings``.

    Raises:
        NotFound: there is no such network, or no such container.
        Conflict: it is on that network, or has no network of its own.
        InvalidArgument: the network cannot give what is asked of it.
        OrlopError: it cannot be connected.
    """
    network = store.find(location.networks, wanted)
    network_membership.connect(container.find(location, container_name), network, dict(settings or {}))


def disconnect(location: Location, wanted: str, container_name: str, *, force: bool = False) -> None:
    """Take a container off a network, at once if it runs; with ``force`` also one that is gone.

    Raises:
        NotFound: there is no such network, or no such container.
        Conflict: it is not on that network.
        OrlopError: it cannot be disconnected.
    """
    network = store.find(location.networks, wanted)
    try:
        target = container.find(location, container_name)
    except NotFound:
        if not force:
            raise
        place = location.networks
        for each in endpoint.on_network(place, network.id):
            if container_name in (each.container, each.container_name):
                endpoint.remove(place, network.id, each.container)
                events.emit(location, events.NETWORK, "disconnect", network.id, {"container": each.container})
                return
        raise
    network_membership.disconnect(target, network)
