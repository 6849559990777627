"""Putting a container on a network and taking it off after it was made: in its record, and at once if it runs."""

from __future__ import annotations

import os

from orlop.engine import container, name_keeper, network_home, network_mode, networking, port_changes, repair
from orlop.errors import Conflict, InvalidArgument, NotFound, OrlopError
from orlop.network import connecting, endpoint, record, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.network.endpoint import Endpoint
    from orlop.network.place import Place
    from orlop.network.record import Network


def connect(target: container.Container, network: Network, settings: dict[str, Any]) -> None:
    """Put a container on a network; ``settings`` are Docker's ``EndpointSettings``.

    Raises:
        Conflict: it is on that network, or has no network of its own.
        InvalidArgument: the network cannot give what is asked of it.
        OrlopError: it cannot be connected.
    """
    if network.config_only:
        raise InvalidArgument(f"network {network.name} is a configuration-only network: no container can be on it")
    asked = {key: value for key, value in settings.items() if key in networking.ASKED and value}
    if network.has_endpoints:
        connecting.check(network, asked)
    with port_changes.follow(target), _Change(target) as change:
        wanted = change.wanted
        mode = change.mode
        if network.name == record.HOST or (mode == record.HOST and wanted):
            raise InvalidArgument("container cannot be disconnected from host network or connected to host network")
        if mode.startswith("container:"):
            raise InvalidArgument(
                "container sharing network namespace with another container or host cannot be connected to any other network"
            )
        if mode in network_mode.USERS:
            raise InvalidArgument(
                f"container {target.name} has a network of its own by {mode} and cannot be connected to any other"
            )
        if change.key(network) is not None:
            raise Conflict(f"endpoint with name {target.name} already exists in network {network.name}")
        if wanted and record.NONE in (network.name, *wanted):
            raise InvalidArgument(
                "container cannot be connected to multiple networks with one of the networks in private (none) mode"
            )
        if change.is_running and network.has_endpoints:
            change.enter(network, asked)
        try:
            change.write({**wanted, network.name: asked})
        except BaseException:
            if change.is_running:
                change.leave(network)
            raise
    networking.tell(target.location, network, "connect", target.id)


def disconnect(target: container.Container, network: Network) -> None:
    """Take a container off a network.

    Raises:
        Conflict: it is not on that network.
        InvalidArgument: it has the host's.
        OrlopError: it cannot be disconnected.
    """
    with port_changes.follow(target), _Change(target) as change:
        if network.name == record.HOST and change.mode == record.HOST:
            raise InvalidArgument("container cannot be disconnected from host network or connected to host network")
        key = change.key(network)
        if key is None:
            raise Conflict(f"container {target.name} is not connected to network {network.name}")
        if change.is_running and network.has_endpoints:
            change.leave(network)
        change.write({name: said for name, said in change.wanted.items() if name != key})
    networking.tell(target.location, network, "disconnect", target.id)


def _disconnect(place: Place, network: Network, joiner: connecting.Joiner) -> None:
    connecting.disconnect(place, network, joiner)


class _Change:
    """A container that nobody else starts, changes or removes, for ``with``."""

    __slots__ = ("_lock", "_record", "_target", "is_running", "mode", "wanted")

    def __init__(self, target: container.Container) -> None:
        repair.look_after(target)
        lock = container.lock(target.directory)  # waits for a start that is under way
        if lock is None:
            raise NotFound(f"no such container: {target.id[:12]}")
        self._lock = lock
        self._target = container.Container(target.location, target.id)
        self._record = dict(self._target.record)
        self.mode: str = self._record["HostConfig"]["NetworkMode"]
        self.wanted = network_mode.wanted(self._record, everything=True)
        self.is_running = self._target.state()["Status"] == "running"

    def __enter__(self) -> _Change:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def key(self, network: Network) -> str | None:
        """By which name the container's record has a network; None if it does not."""
        for name in self.wanted:
            if name in (network.name, network.id):
                return name
        for name in self.wanted:
            try:
                if store.find(self._target.location.networks, name).id == network.id:
                    return name
            except OrlopError:
                continue
        return None

    def write(self, wanted: dict[str, dict[str, Any]]) -> None:
        """Write down which networks the container is to be on from now on."""
        known = self._record.get("NetworkSettings") or {}
        self._record["NetworkSettings"] = {**known, "Networks": wanted}
        container.write(f"{self._target.directory}/{container.RECORD_FILE}", self._record)

    def enter(self, network: Network, settings: dict[str, Any]) -> None:
        """Connect the running container."""
        joiner = self._joiner()
        try:
            made = self._enter(network, settings, joiner)
            name_keeper.provide(self._target, joiner.namespace)
            networking.refresh(self._target, made)
        except OSError as error:
            raise OrlopError(
                f"cannot connect container {self._target.name} to {network.name}: {error.strerror}"
            ) from None
        finally:
            os.close(joiner.namespace)

    def _enter(self, network: Network, settings: dict[str, Any], joiner: connecting.Joiner) -> list[Endpoint]:
        location = self._target.location
        network_home.run(location, lambda: _disconnect(location.networks, network, joiner))  # of what was broken off
        made, _ = network_home.connect(location, [(network, settings)], joiner)
        return made

    def leave(self, network: Network) -> None:
        """Disconnect the running container."""
        joiner = self._joiner()
        place = self._target.location.networks
        try:
            network_home.run(self._target.location, lambda: _disconnect(place, network, joiner))
            networking.refresh(self._target, endpoint.of_container(place, self._target.id))
        except OSError as error:
            raise OrlopError(
                f"cannot disconnect container {self._target.name} from {network.name}: {error.strerror}"
            ) from None
        finally:
            os.close(joiner.namespace)

    def _joiner(self) -> connecting.Joiner:
        from orlop.runtime.container import Container as RuntimeContainer

        inner = RuntimeContainer.load(self._target.location.runtime, self._target.id)
        joiner = networking.joiner(self._target, inner.pid)
        if joiner is None or not inner.alive():
            if joiner is not None:
                os.close(joiner.namespace)
            raise Conflict(f"container {self._target.name} has just ended")
        return joiner
