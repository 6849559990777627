"""Putting a container on networks and taking it off.

Done by whoever starts the container, in the machine's own network namespace, while the container's first process is
mounting its files; and later, by any command, on a container that runs. The order is what makes a crash harmless: an
address is taken before the endpoint is written down, and the endpoint is there before the device is.
"""

from __future__ import annotations

import os

from orlop.errors import InvalidArgument, OrlopError
from orlop.linux import network_device, procfs
from orlop.linux.netlink import Netlink
from orlop.network import activation, addresses, endpoint, inside, record, store, subnet
from orlop.network.drivers import choice, interface
from orlop.network.endpoint import Endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from orlop.network.drivers.interface import Driver
    from orlop.network.place import Place
    from orlop.network.record import Network

_ENODEV = 19
#: Docker's key, among what a user says to a driver for one container, for the name of its device.
_INTERFACE_NAME = "com.docker.network.endpoint.ifname"
_NO_NAMES = (".", "..", "lo")
_LINK_LOCAL_PREFIX = {subnet.IPV4: 16, subnet.IPV6: 64}


class Joiner:
    """A container that is put on networks, and how its namespace is reached.

    ``names`` are those by which the others find it, ``exposed`` the ports that are meant for them; ``namespace`` is a descriptor that is open on its network namespace
    (or on its process, as pidfd), ``pid`` and ``start_time`` are its first process's.
    """

    __slots__ = ("exposed", "id", "name", "names", "namespace", "pid", "start_time")

    def __init__(
        self,
        container_id: str,
        name: str,
        names: Sequence[str],
        *,
        namespace: int,
        pid: int,
        start_time: int,
        exposed: Sequence[str] = (),
    ) -> None:
        self.id = container_id
        self.name = name
        self.names = list(names)
        self.exposed = list(exposed)
        self.namespace = namespace
        self.pid = pid
        self.start_time = start_time


def connect(
    place: Place,
    wanted: Sequence[tuple[Network, Mapping[str, Any]]],
    joiner: Joiner,
    runs: Callable[[str], bool],
) -> list[Endpoint]:
    """Put a container on networks, with what is asked for on each in Docker's words (``EndpointSettings``).

    Returns all connections that it has then. If one fails, those that were made before stay.

    Raises:
        InvalidArgument: what is asked for cannot be on that network.
        Conflict: an address is another container's.
        OrlopError: no address is left, or the host's part of the network cannot be made.
        OSError: the kernel refused.
    """
    endpoints = endpoint.of_container(place, joiner.id)
    indexes: dict[str, int] = {}
    with Netlink() as netlink, Netlink(joiner.namespace) as there:
        for network, settings in wanted:
            name = _interface(network, settings, endpoints)
            made = _Connection(place, network, settings, joiner, name)
            indexes[name] = made.make(netlink, there, runs)
            endpoints.append(made.endpoint)
        inside.set_default_routes(there, endpoints, indexes)
    return endpoints


class _Connection:
    """One container on its way to one network."""

    __slots__ = ("_joiner", "_network", "_place", "_settings", "endpoint")

    def __init__(self, place: Place, network: Network, settings: Mapping[str, Any], joiner: Joiner, name: str) -> None:
        self._place = place
        self._network = network
        self._settings = settings
        self._joiner = joiner
        self.endpoint = Endpoint(
            network.id,
            joiner.id,
            os.urandom(32).hex(),
            container_name=joiner.name,
            network_name=network.name,
            interface=name,
            gateway_priority=int(settings.get("GwPriority") or 0),
            names=joiner.names,
            aliases=list(settings.get("Aliases") or ()),
            links=list(settings.get("Links") or ()),
            exposed=joiner.exposed,
            driver_options=dict(settings.get("DriverOpts") or {}),
            pid=joiner.pid,
            start_time=joiner.start_time,
        )

    def make(self, netlink: Netlink, there: Netlink, runs: Callable[[str], bool]) -> int:
        """Do it, or leave nothing; returns the index of its device."""
        held = activation.Held(self._place, self._network, netlink)
        try:
            try:
                self._take_addresses(runs)
                self._choose_mac()
                driver = choice.find(self._network.driver)
                driver.prepare(self._network, self.endpoint)
                self.endpoint.write(self._place)
                self._attach(driver, netlink, held)
                _follow_links(self._place, self._network, self.endpoint)
                return inside.configure(there, self.endpoint)
            except BaseException:
                self._undo(netlink)
                raise
        finally:
            held.release()

    def _take_addresses(self, runs: Callable[[str], bool]) -> None:
        network, made = self._network, self.endpoint
        said = self._settings.get("IPAMConfig") or {}
        for family, wanted, word in (
            (subnet.IPV4, said.get("IPv4Address") or "", "ipv4"),
            (subnet.IPV6, said.get("IPv6Address") or "", "ipv6"),
        ):
            if not network.pools_of(family):
                if wanted:
                    addresses.check(network, family, wanted)
                continue
            address = addresses.take(self._place, network, family, made.container, wanted, runs)
            setattr(made, word, address)
            if not network.internal:
                setattr(made, f"gateway_{word}", _gateway(network, address))
        for text in said.get("LinkLocalIPs") or ():
            made.link_local.append(f"{text}/{_LINK_LOCAL_PREFIX[subnet.parse(text)[0]]}")

    def _choose_mac(self) -> None:
        made = self.endpoint
        said = self._settings.get("MacAddress") or ""
        if said:
            made.mac = interface.parse_mac(said)
        elif made.ipv4:
            made.mac = interface.choose_mac(subnet.packed(made.ipv4.partition("/")[0]))
        else:
            made.mac = interface.choose_mac(os.urandom(4))

    def _attach(self, driver: Driver, netlink: Netlink, held: activation.Held) -> None:
        namespace = self._joiner.namespace
        try:
            driver.attach(netlink, self._network, held.base, self.endpoint, namespace)
        except OSError as error:
            if error.errno != _ENODEV:
                raise
            held.renew()
            driver.attach(netlink, self._network, held.base, self.endpoint, namespace)

    def _undo(self, netlink: Netlink) -> None:
        made = self.endpoint
        endpoint.remove(self._place, made.network, made.container)
        for text in made.addresses:
            addresses.release(self._place, made.network, text, made.container)
        if made.host_interface and self._network.driver == record.BRIDGE:
            network_device.delete(netlink, made.host_interface)


def _follow_links(place: Place, network: Network, one: Endpoint) -> None:
    if network.driver == record.BRIDGE and not network.connects_containers:
        from orlop.network import linking

        linking.follow(place, network, one)


def disconnect(place: Place, network: Network, joiner: Joiner) -> Endpoint | None:
    """Take a running container off one network; None if it is not on it.

    Raises:
        OSError: the kernel refused.
    """
    gone = endpoint.read(place, network.id, joiner.id)
    if gone is None:
        return None
    # The endpoint goes after its device, so that whoever is killed between can be followed by another.
    with Netlink() as netlink, Netlink(joiner.namespace) as there:
        choice.find(network.driver).detach(netlink, there, gone)
        others = [each for each in endpoint.of_container(place, joiner.id) if each.network != network.id]
        inside.set_default_routes(there, others)
    endpoint.remove(place, network.id, joiner.id)
    for text in gone.addresses:
        addresses.release(place, network.id, text, joiner.id)
    return gone


def reattach(place: Place, network: Network) -> None:
    """Make the host's part of a network anew if somebody has removed it, and attach the containers to it again.

    Raises:
        OrlopError: it cannot be made.
        OSError: the kernel refused.
    """
    driver = choice.find(network.driver)
    with Netlink() as netlink:
        held = activation.Held(place, network, netlink)
        try:
            if not driver.is_up(netlink, network, held.base):
                held.renew()
            for each in endpoint.on_network(place, network.id):
                driver.reattach(netlink, network, held.base, each)
        finally:
            held.release()


def restore(place: Place) -> None:
    """Put all containers that run on their networks again, whose devices are gone on both sides, and the networks up.

    Raises:
        OrlopError: a network cannot be made.
        OSError: the kernel refused.
    """
    there = set()
    with Netlink() as netlink:
        for network_id in endpoint.networks(place):
            network = store.read(place, network_id)
            if network is None:
                continue
            held = activation.Held(place, network, netlink)
            try:
                for each in endpoint.on_network(place, network_id):
                    if _attach_again(place, netlink, network, held.base, each):
                        there.add(each.container)
            finally:
                held.release()
    for container_id in there:
        endpoints = endpoint.of_container(place, container_id)
        namespace = _namespace(endpoints[0]) if endpoints else -1
        if namespace >= 0:
            with Netlink(namespace) as inner:
                inside.set_default_routes(inner, endpoints)
            os.close(namespace)


def _attach_again(place: Place, netlink: Netlink, network: Network, base: int, one: Endpoint) -> bool:
    """Make a container's device anew; False if the container is gone."""
    namespace = _namespace(one)
    if namespace < 0:
        return False
    try:
        with Netlink(namespace) as inner:
            network_device.delete(
                inner, one.interface
            )  # the kernel takes its time with those whose other ends are gone
            choice.find(network.driver).attach(netlink, network, base, one, namespace)
            inside.configure(inner, one)
        _follow_links(place, network, one)
    finally:
        os.close(namespace)
    return True


def _namespace(one: Endpoint) -> int:
    """A descriptor of the network namespace that an endpoint is in, the caller's to close; -1 if its container is gone."""
    try:
        found = os.open(f"/proc/{one.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return -1
    status = procfs.stat(one.pid)
    if status is None or status.start_time != one.start_time:
        os.close(found)
        return -1
    return found


def leave(place: Place, container_id: str) -> list[Endpoint]:
    """Take a container off all networks whose namespace has ended, or is going to; returns what it was on.

    Its devices go with its namespace.
    """
    gone = endpoint.of_container(place, container_id)
    for each in gone:
        endpoint.remove(place, each.network, container_id)
        for text in each.addresses:
            addresses.release(place, each.network, text, container_id)
    return gone


def check(network: Network, settings: Mapping[str, Any]) -> None:
    """Whether a network can give a container what is asked of it, as far as that is known before.

    Raises:
        InvalidArgument: it cannot.
    """
    said = settings.get("IPAMConfig") or {}
    for family, key in ((subnet.IPV4, "IPv4Address"), (subnet.IPV6, "IPv6Address")):
        wanted = said.get(key)
        if wanted:
            if network.is_default:
                raise InvalidArgument("user specified IP address is supported on user defined networks only")
            addresses.check(network, family, wanted)
    for text in said.get("LinkLocalIPs") or ():
        subnet.parse(text)
    if settings.get("MacAddress"):
        interface.parse_mac(settings["MacAddress"])
    name = (settings.get("DriverOpts") or {}).get(_INTERFACE_NAME)
    if name is not None and (
        not 0 < len(name) < 16 or name in _NO_NAMES or any(each in "/%:" or each.isspace() for each in name)
    ):
        raise InvalidArgument(f"invalid interface name {name!r}: at most 15 characters, no blank and none of / % :")


def _interface(network: Network, settings: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> str:
    """The name of a container's device on a network: what the user said, or the first that is free."""
    used = {each.interface for each in endpoints}
    chosen = (settings.get("DriverOpts") or {}).get(_INTERFACE_NAME)
    if chosen:
        if chosen in used:
            raise InvalidArgument(f"network {network.name}: the container has a device {chosen} already")
        return str(chosen)
    prefix = network.options.get(record.INTERFACE_PREFIX, "eth")
    return next(name for number in range(len(used) + 1) if (name := f"{prefix}{number}") not in used)


def _gateway(network: Network, address: str) -> str:
    if network.options.get("ipvlan_mode", "").startswith("l3"):
        return inside.ON_LINK
    family, number = subnet.parse(address.partition("/")[0])
    for pool in network.pools_of(family):
        if pool.parsed().contains(number):
            return pool.gateway
    raise OrlopError(f"network {network.name} has no subnet with the address {address}")
