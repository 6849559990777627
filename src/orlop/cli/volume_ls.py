"""``orlop volume ls``."""

from __future__ import annotations

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop volume ls",
    "",
    "List volumes",
    (
        Option(
            "-f, --filter",
            "Filter by dangling=true|false, driver=NAME, label=KEY[=VALUE] or name=PART",
            value="filter",
            many=True,
        ),
        Option("--format", "'table', 'json', or a template such as '{{.Name}}'", value="string", default="table"),
        Option("-q, --quiet", "Only display volume names"),
    ),
    at_most=0,
)

_COLUMNS = (("DRIVER", "Driver"), ("VOLUME NAME", "Name"))
_RAW = (("name", "Name"), ("driver", "Driver"))


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import filters
    from orlop.cli import listing
    from orlop.engine import volume_filters, volume_store

    wanted = filters.read(said["filter"], volume_filters.tests(location))
    listing.show(
        said["format"],
        (_row(volume) for volume in volume_store.every(location) if wanted(volume)),
        _COLUMNS,
        quiet="Name" if said["quiet"] else "",
        raw=_RAW,
    )
    return 0


def _row(volume: Mapping[str, Any]) -> dict[str, Any]:
    from orlop.cli.gotemplate.values import Method

    labels = volume["Labels"] or {}
    return {
        "Availability": "N/A",
        "Driver": volume["Driver"],
        "Group": "N/A",
        "Label": Method(lambda key: labels.get(key, "")),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "Links": "N/A",
        "Mountpoint": volume["Mountpoint"],
        "Name": volume["Name"],
        "Scope": volume["Scope"],
        "Size": "N/A",
        "Status": "N/A",
    }
