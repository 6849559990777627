"""``orlop network connect``."""

from __future__ import annotations

from orlop.cli import network_option
from orlop.options import Option, Parser, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop network connect",
    "NETWORK CONTAINER",
    "Connect a container to a network",
    (
        Option("--alias", "Add network-scoped alias for the container", value="strings", many=True),
        Option("--driver-opt", "driver options for the network", value="strings", many=True),
        Option("--gw-priority", "Highest gw-priority provides the default gateway", value="int", read=integer, default=0),
        Option("--ip", "IPv4 address", value="ip", read=network_option.ipv4),
        Option("--ip6", "IPv6 address", value="ip", read=network_option.ipv6),
        Option("--link", "Add link to another container", value="list", many=True),
        Option(
            "--link-local-ip", "Add a link-local address for the container", value="strings", read=network_option.address,
            many=True,
        ),
    ),
    at_least=2,
    at_most=2,
)  # fmt: skip


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import networks

    addresses: dict[str, Any] = {
        "IPv4Address": said["ip"],
        "IPv6Address": said["ip6"],
        "LinkLocalIPs": said["link-local-ip"],
    }
    settings: dict[str, Any] = {
        "IPAMConfig": {key: value for key, value in addresses.items() if value},
        "Aliases": said["alias"],
        "Links": said["link"],
        "DriverOpts": network_option.driver_options(said["driver-opt"]),
        "GwPriority": said["gw-priority"],
    }
    networks.connect(location, said.arguments[0], said.arguments[1], settings)
    return 0
