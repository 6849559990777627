"""A network, as it is written down and shown, in the words of Docker's API."""

from __future__ import annotations

from orlop.network.subnet import IPV4, IPV6, Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: Characters of a network's id, which are hexadecimal digits.
ID_LENGTH = 64

#: The name and the driver of networks that every engine has.
BRIDGE = "bridge"
HOST = "host"
NONE = "none"
#: Docker's name of the driver that gives a container no interface.
NULL = "null"
MACVLAN = "macvlan"
IPVLAN = "ipvlan"

#: Driver options, by Docker's keys.
BRIDGE_NAME = "com.docker.network.bridge.name"
DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge"
ENABLE_ICC = "com.docker.network.bridge.enable_icc"
ENABLE_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
ENABLE_IPV6 = "com.docker.network.enable_ipv6"
HOST_BINDING_IPV4 = "com.docker.network.bridge.host_binding_ipv4"
INTERFACE_PREFIX = "com.docker.network.container_iface_prefix"
INHIBIT_IPV4 = "com.docker.network.bridge.inhibit_ipv4"
HOST_IPV4 = "com.docker.network.host_ipv4"
HOST_IPV6 = "com.docker.network.host_ipv6"
GATEWAY_MODE_IPV4 = "com.docker.network.bridge.gateway_mode_ipv4"
GATEWAY_MODE_IPV6 = "com.docker.network.bridge.gateway_mode_ipv6"
MTU = "com.docker.network.driver.mtu"
TRUSTED_INTERFACES = "com.docker.network.bridge.trusted_host_interfaces"

#: What an option may say that is true, and what it may say that is true or false.
TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
BOOLEANS = TRUE | frozenset(("0", "f", "F", "FALSE", "false", "False"))


class Pool:
    """One subnet of a network: the texts of ``subnet``, ``ip_range`` and ``gateway``, and ``auxiliary`` addresses by name.

    ``ip_range`` may be empty: all of the subnet; ``gateway`` may be empty: there is none.
    """

    __slots__ = ("auxiliary", "gateway", "ip_range", "subnet")

    def __init__(self, subnet: str, ip_range: str, gateway: str, auxiliary: Mapping[str, str]) -> None:
        self.subnet = subnet
        self.ip_range = ip_range
        self.gateway = gateway
        self.auxiliary = auxiliary

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""
        return IPV6 if ":" in self.subnet else IPV4

    def parsed(self) -> Subnet:
        """The subnet as numbers."""
        return Subnet.parse(self.subnet)

    def fields(self) -> dict[str, Any]:
        """Docker's ``IPAM.Config`` entry."""
        found: dict[str, Any] = {"Subnet": self.subnet}
        if self.ip_range:
            found["IPRange"] = self.ip_range
        if self.gateway:
            found["Gateway"] = self.gateway
        if self.auxiliary:
            found["AuxiliaryAddresses"] = dict(self.auxiliary)
        return found

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Pool:
        """What `fields` wrote down."""
        return cls(
            fields["Subnet"],
            fields.get("IPRange") or "",
            fields.get("Gateway") or "",
            fields.get("AuxiliaryAddresses") or {},
        )


class Network:
    """One network: ``options`` are its driver's by Docker's keys, ``pools`` its subnets of both versions.

    ``created`` is a moment in RFC 3339, ``scope`` always ``local``. ``ipam_driver`` is ``default``, or ``null`` for a
    network whose containers get no addresses; ``config_from`` names the network that its configuration was taken from.
    """

    __slots__ = (
        "attachable",
        "config_from",
        "config_only",
        "created",
        "driver",
        "id",
        "internal",
        "ipam_driver",
        "ipam_options",
        "ipv4",
        "ipv6",
        "labels",
        "name",
        "options",
        "pools",
        "scope",
    )

    def __init__(self, network_id: str, name: str, driver: str) -> None:
        self.id = network_id
        self.name = name
        self.driver = driver
        self.created = ""
        self.scope = "local"
        self.internal = False
        self.ipv4 = True
        self.ipv6 = False
        self.attachable = False
        self.config_only = False
        self.config_from = ""
        self.labels: dict[str, str] = {}
        self.options: dict[str, str] = {}
        self.ipam_driver = "default"
        self.ipam_options: dict[str, str] = {}
        self.pools: list[Pool] = []

    @property
    def is_predefined(self) -> bool:
        """Whether it is one of those that every engine has and nobody removes."""
        return self.name in (BRIDGE, HOST, NONE)

    @property
    def is_default(self) -> bool:
        """Whether it is the network of containers that name none."""
        return self.name == BRIDGE

    @property
    def has_endpoints(self) -> bool:
        """Whether its containers have devices and addresses."""
        return self.driver not in (HOST, NULL)

    @property
    def bridge(self) -> str:
        """The name of the bridge's device on the host, for the driver `BRIDGE`."""
        return self.options.get(BRIDGE_NAME) or f"or-{self.id[:12]}"

    @property
    def mtu(self) -> int:
        """The greatest size of packets in bytes; 0 is the devices' own."""
        return int(self.options.get(MTU) or 0)

    @property
    def connects_containers(self) -> bool:
        """Whether its containers may talk to each other (``enable_icc``)."""
        return self.options.get(ENABLE_ICC, "true") in TRUE

    @property
    def masquerades(self) -> bool:
        """Whether what its containers send to the outside gets the host's address."""
        return self.options.get(ENABLE_MASQUERADE, "true") in TRUE

    def pools_of(self, family: int) -> list[Pool]:
        """The subnets of one version."""
        return [each for each in self.pools if each.family == family]

    def fields(self) -> dict[str, Any]:
        """The network in the words of Docker's API, without the containers that are on it."""
        return {
            "Name": self.name,
            "Id": self.id,
            "Created": self.created,
            "Scope": self.scope,
            "Driver": self.driver,
            "EnableIPv4": self.ipv4,
            "EnableIPv6": self.ipv6,
            "IPAM": {
                "Driver": self.ipam_driver,
                "Options": self.ipam_options,
                "Config": [each.fields() for each in self.pools],
            },
            "Internal": self.internal,
            "Attachable": self.attachable,
            "Ingress": False,
            "ConfigFrom": {"Network": self.config_from},
            "ConfigOnly": self.config_only,
            "Options": self.options,
            "Labels": self.labels,
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Network:
        """What `fields` wrote down."""
        made = cls(fields["Id"], fields["Name"], fields["Driver"])
        made.created = fields["Created"]
        made.internal = fields["Internal"]
        made.ipv4 = fields["EnableIPv4"]
        made.ipv6 = fields["EnableIPv6"]
        made.attachable = fields["Attachable"]
        made.config_only = fields["ConfigOnly"]
        made.config_from = fields["ConfigFrom"]["Network"]
        made.labels = fields["Labels"]
        made.options = fields["Options"]
        made.ipam_driver = fields["IPAM"]["Driver"]
        made.ipam_options = fields["IPAM"]["Options"]
        made.pools = [Pool.from_fields(each) for each in fields["IPAM"]["Config"]]
        return made
