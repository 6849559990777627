"""Published ports that are in force, and the file that tells of a container's.

The file is ``<run root>/networks/.ports/<container id>``. It is there before the container's program runs, and goes when
that has ended; it is replaced by rename. It also says where what comes to the ports has to go, for the proxy.
"""

from __future__ import annotations

import _socket
import os

from orlop import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from orlop.network.place import Place

#: What Docker's API calls every address of a family.
ANY = {_socket.AF_INET: "0.0.0.0", _socket.AF_INET6: "::"}  # noqa: S104 - that is what is asked for


class Published:
    """One port of a container at one port of the host.

    Attributes:
        port: the container's, such as ``80/tcp``.
        address: the host's address; empty for every one, ``0.0.0.0`` and ``::`` for every one of a family.
        number: the host's port.
        families: at which it is: AF_INET, AF_INET6 or both.
        sources: subnets whose hosts may connect; none for everybody.
        interface: the host's interface at which it is; empty for all of them.
    """

    __slots__ = ("address", "families", "interface", "number", "port", "sources")

    def __init__(
        self,
        port: str,
        address: str,
        number: int,
        families: Iterable[int],
        sources: Iterable[str] = (),
        interface: str = "",
    ) -> None:
        self.port = port
        self.address = address
        self.number = number
        self.families = tuple(families)
        self.sources = tuple(sources)
        self.interface = interface

    @property
    def protocol(self) -> str:
        """``tcp``, ``udp`` or ``sctp``."""
        return self.port.partition("/")[2]

    @property
    def container_port(self) -> int:
        """The number of the container's port."""
        return int(self.port.partition("/")[0])

    def addresses(self) -> list[str]:
        """The host's addresses, with ``0.0.0.0`` or ``::`` for every one of a family."""
        return [self.address] if self.address else [ANY[family] for family in self.families]

    def overlaps(self, other: Published) -> bool:
        """Whether both want one port of the host."""
        if (self.number, self.protocol) != (other.number, other.protocol):
            return False
        if self.interface and other.interface and self.interface != other.interface:
            return False
        ours, theirs = set(self.addresses()), set(other.addresses())
        for family in set(self.families) & set(other.families):
            if ANY[family] in ours or ANY[family] in theirs:
                return True
        return not ours.isdisjoint(theirs)

    def bindings(self) -> list[dict[str, Any]]:
        """As ``NetworkSettings.Ports`` of Docker's API shows it."""
        more: dict[str, Any] = {}
        if self.sources:
            more["From"] = list(self.sources)
        if self.interface:
            more["On"] = self.interface
        return [{"HostIp": address, "HostPort": str(self.number), **more} for address in self.addresses()]

    def lines(self) -> list[str]:
        """As ``orlop port`` shows it."""
        return [f"{self.port} -> {shown(address, self.number)}" for address in self.addresses()]

    def fields(self) -> dict[str, Any]:
        """Everything by its name, for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Published:
        """What `fields` wrote down."""
        return cls(**fields)

    def __str__(self) -> str:
        return " and ".join(shown(address, self.number) for address in self.addresses())


class Target:
    """Where ports lead: a container's ``address``, the ``bridge`` behind which that is, and whether the network is routed."""

    __slots__ = ("address", "bridge", "is_routed")

    def __init__(self, address: str, bridge: str, *, is_routed: bool = False) -> None:
        self.address = address
        self.bridge = bridge
        self.is_routed = is_routed


class InForce:
    """What a container has published: ``ports``, and where they lead, by the versions of the protocol (AF_INET, AF_INET6).

    ``is_over`` says that they lead there no more, and that only connections are to be ended yet. ``inside`` is the pid of the
    container's first process if the proxy has to serve all of them, from within its namespaces: an ordinary user's.
    """

    __slots__ = ("inside", "is_over", "ports", "targets")

    def __init__(
        self, ports: Iterable[Published], targets: Mapping[int, Target], *, is_over: bool = False, inside: int = 0
    ) -> None:
        self.ports = list(ports)
        self.targets = dict(targets)
        self.is_over = is_over
        self.inside = inside

    def write(self, place: Place, container_id: str) -> None:
        """Write it down, in place of what was there.

        Raises:
            OSError: there is no space.
        """
        path = place.ports(container_id)
        directory = os.path.dirname(path)
        aside = f"{directory}/.{container_id}.{os.getpid()}"
        targets = [[family, each.address, each.bridge, each.is_routed] for family, each in self.targets.items()]
        ports = [each.fields() for each in self.ports]
        told = {"targets": targets, "ports": ports, "is_over": self.is_over, "inside": self.inside}
        data = json_text.dumps(told).encode()
        descriptor = _create(directory, aside)
        try:
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
            os.rename(aside, path)
        except OSError:
            os.unlink(aside)
            raise


def read(place: Place, container_id: str) -> InForce | None:
    """What of a container is published; None if nothing is."""
    try:
        with open(place.ports(container_id), "rb", buffering=0) as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        told = json_text.loads(text)
        targets = {
            family: Target(address, bridge, is_routed=is_routed)
            for family, address, bridge, is_routed in told["targets"]
        }
        ports = [Published.from_fields(each) for each in told["ports"]]
        return InForce(ports, targets, is_over=told["is_over"], inside=told["inside"])
    except (ValueError, KeyError, TypeError):
        return None  # damaged by hand; whoever repairs takes it away


def forget(place: Place, container_id: str) -> None:
    """Write down that nothing of a container is published."""
    try:
        os.unlink(place.ports(container_id))
    except OSError:
        return  # nothing was
    try:
        os.rmdir(os.path.dirname(place.ports(container_id)))
    except OSError:
        return  # other containers have something


def containers(place: Place) -> list[str]:
    """The ids of the containers that have something published, or had until a crash."""
    try:
        names = os.listdir(os.path.dirname(place.ports("")))
    except FileNotFoundError:
        return []
    return [name for name in names if name[0] != "."]


def shown(address: str, number: int) -> str:
    """Address and port as people write them."""
    return f"[{address}]:{number}" if ":" in address else f"{address}:{number}"


def _create(directory: str, aside: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    while True:
        try:
            return os.open(aside, flags, 0o600)
        except FileNotFoundError:  # nobody had anything, or the last one who had is just going
            os.makedirs(directory, 0o700, exist_ok=True)
