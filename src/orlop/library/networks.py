"""The networks of an engine."""

from __future__ import annotations

from orlop.library import errand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from orlop.engine.location import Location


class Member:
    """A running container on a network: its ``name`` and addresses, with the lengths of their prefixes."""

    __slots__ = ("id", "ipv4", "ipv6", "mac_address", "name")

    def __init__(self, container_id: str, known: Mapping[str, Any]) -> None:
        self.id = container_id
        self.name = str(known["Name"])
        self.ipv4 = str(known["IPv4Address"])
        self.ipv6 = str(known["IPv6Address"])
        self.mac_address = str(known["MacAddress"])

    def __repr__(self) -> str:
        return f"<Member {self.name}>"


class Network:
    """What a network is, at the time it was asked for.

    ``subnets`` are its subnets, ``gateways`` the gateway of each that has one, ``members`` the running containers on it.
    """

    __slots__ = (
        "created",
        "driver",
        "gateways",
        "id",
        "internal",
        "ipv6",
        "labels",
        "members",
        "name",
        "options",
        "subnets",
    )

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.id = str(known["Id"])
        self.name = str(known["Name"])
        self.driver = str(known["Driver"])
        self.created = str(known["Created"])
        self.internal = bool(known["Internal"])
        self.ipv6 = bool(known["EnableIPv6"])
        self.labels: dict[str, str] = dict(known["Labels"])
        self.options: dict[str, str] = dict(known["Options"])
        pools = known["IPAM"]["Config"]
        self.subnets = [str(each["Subnet"]) for each in pools]
        self.gateways = {str(each["Subnet"]): str(each["Gateway"]) for each in pools if each.get("Gateway")}
        self.members = [Member(key, each) for key, each in known["Containers"].items()]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Network {self.name}>"


class Networks:
    """What ``engine.networks`` is. Where a network or a container is wanted, its name or its id will do."""

    __slots__ = ("_location", "_settle")

    def __init__(self, location: Location, settle: Callable[[], object]) -> None:
        self._location = location
        #: Waits until programs that have ended hold nothing any more.
        self._settle = settle

    def create(
        self,
        name: str,
        *,
        driver: str = "bridge",
        subnets: Sequence[str] = (),
        gateways: Sequence[str] = (),
        ip_ranges: Sequence[str] = (),
        auxiliary_addresses: Mapping[str, str] | None = None,
        internal: bool = False,
        ipv6: bool = False,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Network:
        """Make a network; ``options`` are the driver's, by Docker's keys.

        Raises:
            InvalidArgument: something cannot be right.
            Conflict: the name is in use, or a subnet is.
            Unsupported: there is no such driver, or this machine lacks what it takes.
        """
        from orlop.engine import networks
        from orlop.network import creation

        pools = creation.read_pools(subnets, ip_ranges, gateways, auxiliary_addresses or {})
        wanted = {
            "Name": name,
            "Driver": driver,
            "Internal": internal,
            "EnableIPv6": ipv6,
            "IPAM": {"Config": [pool.fields() for pool in pools]},
            "Labels": labels,
            "Options": options,
        }
        return self.get(networks.create(self._location, wanted).id)

    def get(self, name: str) -> Network:
        """The network of a name.

        Raises:
            NotFound: there is none.
        """
        from orlop.engine import networks

        return Network(networks.describe(self._location, name))

    def list(self) -> list[Network]:
        """All networks, by name, those that every engine has among them; their members are not looked up."""
        from orlop.engine import networks

        return [Network(each) for each in networks.every(self._location)]

    def connect(
        self,
        network: str,
        container: str,
        *,
        aliases: Sequence[str] = (),
        ip: str = "",
        ip6: str = "",
        gateway_priority: int = 0,
        driver_options: Mapping[str, str] | None = None,
    ) -> None:
        """Put a container on one more network, at once if it runs, and from then on.

        Raises:
            NotFound: there is no such network, or no such container.
            Conflict: it is on that network, or has no network of its own.
            InvalidArgument: the network cannot give what is asked of it.
        """
        settings = {
            "Aliases": list(aliases),
            "IPAMConfig": {key: text for key, text in (("IPv4Address", ip), ("IPv6Address", ip6)) if text},
            "GwPriority": gateway_priority,
            "DriverOpts": dict(driver_options or {}),
        }
        arguments = {"network": network, "container": container, "settings": settings}
        errand.call(self._location, "connect", arguments, light=True)

    def disconnect(self, network: str, container: str, *, force: bool = False) -> None:
        """Take a container off a network, at once if it runs; with ``force`` also one that is gone.

        Raises:
            NotFound: there is no such network, or no such container.
            Conflict: it is not on that network.
        """
        arguments = {"network": network, "container": container, "force": force}
        errand.call(self._location, "disconnect", arguments, light=True)

    def remove(self, name: str) -> None:
        """Remove a network.

        Raises:
            NotFound: there is none.
            InvalidArgument: it is one that every engine has.
            Conflict: a running container is on it.
        """
        self._settle()
        errand.call(self._location, "remove_network", {"name": name}, light=True)

    def prune(self) -> Sequence[str]:
        """Remove those that no running container is on, but for those that every engine has; their names."""
        self._settle()
        names: Sequence[str] = errand.call(self._location, "prune_networks", {}, light=True)
        return names
