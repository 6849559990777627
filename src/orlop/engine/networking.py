"""Which networks a container is on: at its start, while it runs, and at its end.

What a user asked for stays in the container's record, in Docker's words (``HostConfig.NetworkMode``, and for everything
that is more than that ``NetworkSettings.Networks``). What is in force is in the endpoints (`orlop.network.endpoint`).
"""

from __future__ import annotations

import os

from orlop.engine import events, monitor_lock, network_files, network_mode
from orlop.errors import InvalidArgument, NotFound, OrlopError
from orlop.linux import procfs
from orlop.network import activation, connecting, endpoint, record, store
from orlop.network.names import sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.engine.network_home import Hold
    from orlop.engine.settings import Settings
    from orlop.network.endpoint import Endpoint
    from orlop.network.record import Network
    from orlop.runtime.request import Request

#: What of Docker's ``EndpointSettings`` a user asks for; the rest tells what is so.
ASKED = frozenset(("IPAMConfig", "Links", "Aliases", "MacAddress", "DriverOpts", "GwPriority"))

_EPERM = 1


def check(location: Location, settings: Settings) -> None:
    """Check the networks that a container is to be on, before it is made, and call them by their names.

    Raises:
        NotFound: there is no such network.
        InvalidArgument: a network cannot give what is asked of it.
        Unsupported: an ordinary user asks for a program that is not installed.
    """
    if location.rootless and settings.network in network_mode.USERS:
        from orlop.engine import user_network

        if settings.networks:
            raise InvalidArgument(f"conflicting options: --network {settings.network} together with other networks")
        user_network.check(settings.network)
        return
    if settings.network == record.BRIDGE and not settings.networks:
        return
    place = location.networks
    networks = {}
    for name, said in (settings.networks or {settings.network: {}}).items():
        network = store.find(place, network_mode.chosen(name, rootless=False))
        if not network.has_endpoints or network.config_only:
            raise InvalidArgument(f"container cannot be connected to network {network.name} together with others")
        connecting.check(network, said)
        if network.name in networks:
            raise InvalidArgument(f'network "{network.name}" is specified multiple times')
        networks[network.name] = said
    settings.networks = networks


def runs(location: Location) -> Callable[[str], bool]:
    """Tells of a container's id whether it runs, is being started, or is just being cleared away."""
    return lambda container_id: monitor_lock.is_held(location, container_id)


class Connection:
    """A container's connection to its networks, at its start."""

    __slots__ = ("_hold", "_namespace", "_target", "endpoints", "name_ends")

    def __init__(self, target: Container) -> None:
        self._target = target
        #: An ordinary user's networks have a home, which has to stay.
        self._hold: Hold | None = None
        self._namespace = -1
        self.endpoints: list[Endpoint] = []
        #: The sockets at which the container asks for names, for UDP and for TCP (`orlop.network.names.sockets`).
        self.name_ends: tuple[int, ...] = ()

    def ask_for(self, wanted: Request) -> None:
        """Have the connection made while a container is created; `close` afterwards.

        Raises:
            OrlopError: an ordinary user's networks cannot be where they are to be.
        """
        wanted.connect = self.make
        if self._target.location.rootless:
            from orlop.engine import network_home

            self._hold = network_home.Hold(self._target.location, self._target.id)
            wanted.parent = self._hold.users
            wanted.look = self._look

    def _look(self, pid: int) -> None:
        self._namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of what only the connecting needs."""
        if self._hold is not None:
            self._hold.release()

    def make(self, pid: int) -> None:
        """Connect the container whose first process has this pid; that is not yet at its program.

        If that process has ended, nothing is done: whoever waits for it knows better what was wrong with it.

        Raises:
            NotFound: a network is gone.
            OrlopError: as `orlop.network.connecting.connect`.
        """
        target = self._target
        place = target.location.networks
        networks = []
        for name, settings in network_mode.wanted(target.record).items():
            try:
                networks.append((store.find(place, name), settings))
            except NotFound as error:
                raise NotFound(
                    f"cannot start container {target.name}: {error}: create it, or disconnect the container"
                ) from None
        joining = joiner(target, pid, self._namespace)
        if joining is None:
            return
        try:
            self._connect(networks, joining)
            known = [network for network, _ in networks]
            linked: Sequence[str] = ()
            if target.record["HostConfig"].get("Links"):
                from orlop.engine import links

                linked = links.lines(target)
            network_files.at_start(target.directory, target.record, known, self.endpoints, linked)
            if os.path.exists(place.links):
                from orlop.engine import links

                links.tell(target)
        except OSError as error:
            without = ": say --network none or host where devices may not be made" if error.errno == _EPERM else ""
            raise OrlopError(
                f"cannot connect container {target.name} to its networks: {error.strerror}{without}"
            ) from None
        finally:
            os.close(joining.namespace)
        for network, _ in networks:
            tell(target.location, network, "connect", target.id)

    def _connect(self, networks: Sequence[tuple[Network, Mapping[str, Any]]], joining: connecting.Joiner) -> None:
        location = self._target.location
        if self._hold is None:
            self.endpoints = connecting.connect(location.networks, networks, joining, runs(location))
            self.name_ends = sockets.open_in(joining.namespace)
            return
        from orlop.engine import network_home

        self.endpoints, ends = network_home.connect(location, networks, joining, names=True)
        self.name_ends = tuple(ends)


def joiner(target: Container, pid: int, namespace: int = -1) -> connecting.Joiner | None:
    """A container whose first process has this pid, as the networks see it; None if that has ended.

    ``namespace`` is its network namespace, if that is open; the one of what is returned is the caller's to close.
    """
    status = procfs.stat(pid)
    if status is None:
        return None
    try:
        if namespace < 0:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return None
    names = [target.name, target.id[:12]]
    hostname = target.record["Config"]["Hostname"]
    if hostname and hostname not in names:
        names.append(hostname)
    return connecting.Joiner(
        target.id,
        target.name,
        names,
        namespace=namespace,
        pid=pid,
        start_time=status.start_time,
        exposed=list(target.record["Config"].get("ExposedPorts") or ()),
    )


def refresh(target: Container, endpoints: Sequence[Endpoint]) -> None:
    """Have a running container's files and ports follow a change of its networks."""
    addresses = [address for each in endpoints for address in each.addresses]
    network_files.renew_hosts(target.directory, network_files.names_of(target.record), addresses)
    if endpoints:
        network_files.renew_resolver(target.directory, target.record)


def rename(location: Location, container_id: str, old: str, new: str) -> None:
    """Have the others on a container's networks find it by its new name."""
    place = location.networks
    for each in endpoint.of_container(place, container_id):
        each.container_name = new
        each.names = [new if name == old else name for name in each.names]
        each.write(place)


def release(location: Location, container_id: str) -> None:
    """Take a container that has ended off its networks, and tell of it. Nothing happens if it is on none."""
    place = location.networks
    if os.path.exists(place.ports(container_id)):
        from orlop.engine import publishing

        publishing.withdraw(location, container_id)
    if os.path.exists(place.links):
        from orlop.engine import links

        links.forget(place, container_id)
    for gone in connecting.leave(place, container_id):
        network = store.read(place, gone.network)
        if network is not None:
            tell(location, network, "disconnect", container_id)
    if location.rootless:
        from orlop.engine import network_home

        network_home.leave(location, container_id)


def linger(location: Location) -> None:
    """Take the networks down that no container is on any more, if none comes soon."""
    place = location.networks
    take = None
    if location.rootless:
        from orlop.engine import network_home

        take = network_home.taker(location)
    for network_id in endpoint.networks(place):
        try:
            activation.linger(place, network_id, take)
        except (OrlopError, OSError):
            continue  # the next command that repairs tries again
    if location.rootless:
        network_home.end(location)


def sweep(location: Location) -> None:
    """Take off the networks what crashes have left on them."""
    place = location.networks
    _sweep_user_networks(location)
    if location.rootless:
        from orlop.engine import network_home

        try:
            network_home.sweep(location)
        except (OrlopError, OSError):
            return  # who connects a container is told
    _sweep_ports(location)
    if not endpoint.networks(place):
        return
    present = {network_id: endpoint.containers(place, network_id) for network_id in endpoint.networks(place)}
    # Whoever came after this look is asked one by one; there are few such, and many containers may run.
    known = monitor_lock.every_id(location)
    is_held = runs(location)
    try:
        activation.sweep(place, present, lambda container_id: container_id in known or is_held(container_id))
        if location.rootless:
            network_home.sweep_networks(location)
    except (OrlopError, OSError):
        return  # the kernel does not let go of something yet, or a record is damaged: who uses it is told


def _sweep_ports(location: Location) -> None:
    """Finish what was broken off while ports were changed, and have none lead to containers that do not run."""
    if os.path.exists(f"{location.run_root}/altering-ports"):
        from orlop.engine import port_changes

        port_changes.finish(location)
    if os.path.exists(location.networks.ports("")):
        from orlop.network.ports import published

        for container_id in published.containers(location.networks):
            if not monitor_lock.is_held(location, container_id):
                release(location, container_id)


def _sweep_user_networks(location: Location) -> None:
    """Connect containers again whose program was killed, and end those programs whose container has ended."""
    if not os.path.exists(f"{location.run_root}/user-networks"):
        return
    from orlop.engine import user_network

    for container_id in user_network.containers(location):
        if not monitor_lock.is_held(location, container_id):
            user_network.release(location, container_id)
        elif not user_network.is_attached(location, container_id):
            user_network.attach_again(location, container_id)


def tell(location: Location, network: Network, action: str, container_id: str = "") -> None:
    """Tell of something that happened to a network, or to a container on it."""
    about = {"name": network.name, "type": network.driver}
    if container_id:
        about["container"] = container_id
    events.emit(location, events.NETWORK, action, network.id, about)
