"""``orlop network create``."""

from __future__ import annotations

import sys

from orlop.errors import InvalidArgument
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location
    from orlop.network.record import Pool
    from orlop.options import Parsed

PARSER = Parser(
    "orlop network create",
    "NETWORK",
    "Create a network",
    (
        Option("--attachable", "Enable manual container attachment"),
        Option("--aux-address", "Auxiliary IPv4 or IPv6 addresses used by Network driver", value="map", many=True),
        Option("--config-from", "The network from which to copy the configuration", value="string", default=""),
        Option("--config-only", "Create a configuration only network"),
        Option(
            "-d, --driver", "Driver to manage the Network: bridge, macvlan or ipvlan", value="string", default="bridge"
        ),
        Option("--gateway", "IPv4 or IPv6 Gateway for the master subnet", value="strings", many=True),
        Option("--ingress", "Create swarm routing-mesh network", hidden=True),
        Option("--internal", "Restrict external access to the network"),
        Option("--ip-range", "Allocate container ip from a sub-range", value="strings", many=True),
        Option("--ipam-driver", "IP Address Management Driver", value="string", default="default"),
        Option("--ipam-opt", "Set IPAM driver specific options", value="map", many=True),
        Option("--ipv4", "Enable or disable IPv4 address assignment", default=True),
        Option("--ipv6", "Enable or disable IPv6 address assignment"),
        Option("--label", "Set metadata on a network", value="list", many=True),
        Option("-o, --opt", "Set driver specific options", value="map", many=True),
        Option("--scope", "Control the network's scope", value="string", default="local", hidden=True),
        Option("--subnet", "Subnet in CIDR format that represents a network segment", value="strings", many=True),
    ),
    at_least=1,
    at_most=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import networks
    from orlop.network import creation

    auxiliary = dict(_pair("aux-address", text) for text in said["aux-address"])
    pools: list[Pool] = creation.read_pools(
        _split(said["subnet"]), _split(said["ip-range"]), _split(said["gateway"]), auxiliary
    )
    wanted: dict[str, Any] = {
        "Name": said.arguments[0],
        "Driver": said["driver"],
        "Internal": said["internal"],
        "Attachable": said["attachable"],
        "Ingress": said["ingress"],
        "Scope": said["scope"],
        "ConfigOnly": said["config-only"],
        "ConfigFrom": {"Network": said["config-from"]},
        "EnableIPv4": said["ipv4"],
        "EnableIPv6": said["ipv6"],
        "IPAM": {
            "Driver": said["ipam-driver"],
            "Options": dict(_pair("ipam-opt", text) for text in said["ipam-opt"]),
            "Config": [pool.fields() for pool in pools],
        },
        "Options": dict(_option(text) for text in said["opt"]),
        "Labels": dict(_option(text) for text in said["label"]),
    }
    sys.stdout.write(f"{networks.create(location, wanted).id}\n")
    return 0


def _split(texts: list[str]) -> list[str]:
    return [each for text in texts for each in text.split(",")]


def _pair(option: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InvalidArgument(f'invalid argument "{text}" for --{option}: it must be KEY=VALUE')
    return key, value


def _option(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value
