"""``orlop network ls``."""

from __future__ import annotations

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop network ls",
    "",
    "List networks",
    (
        Option(
            "-f, --filter",
            "Filter by dangling=true|false, driver=NAME, id=PREFIX, label=KEY[=VALUE], name=PART,\n"
            "scope=local or type=custom|builtin",
            value="filter",
            many=True,
        ),
        Option("--format", "'table', 'json', or a template such as '{{.Name}}'", value="string", default="table"),
        Option("--no-trunc", "Do not truncate the output"),
        Option("-q, --quiet", "Only display network IDs"),
    ),
    at_most=0,
)

_COLUMNS = (("NETWORK ID", "ID"), ("NAME", "Name"), ("DRIVER", "Driver"), ("SCOPE", "Scope"))
_RAW = (("network_id", "ID"), ("name", "Name"), ("driver", "Driver"), ("scope", "Scope"))


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import filters
    from orlop.cli import listing
    from orlop.engine import network_filters, networks, repair

    wanted = filters.read(said["filter"], network_filters.known(location))
    repair.everything(location)
    listing.show(
        said["format"],
        (_row(network, whole=said["no-trunc"]) for network in networks.every(location) if wanted(network)),
        _COLUMNS,
        quiet="ID" if said["quiet"] else "",
        raw=_RAW,
    )
    return 0


def _row(network: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    from orlop.cli.gotemplate.values import Method

    labels = network["Labels"]
    return {
        "CreatedAt": network["Created"].replace("T", " ").replace("Z", " +0000 UTC"),
        "Driver": network["Driver"],
        "ID": network["Id"] if whole else network["Id"][:12],
        "IPv4": str(network["EnableIPv4"]).lower(),
        "IPv6": str(network["EnableIPv6"]).lower(),
        "Internal": str(network["Internal"]).lower(),
        "Label": Method(lambda key: labels.get(key, "")),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "Name": network["Name"],
        "Scope": network["Scope"],
    }
