"""``orlop system df``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.disk_usage import Kind, Usage
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop system df",
    "",
    "Show disk usage",
    (
        Option("--format", "'table', 'json', or a template such as '{{.Type}}'", value="string", default="table"),
        Option("-v, --verbose", "Show every image, container and volume"),
    ),
    at_most=0,
)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import listing
    from orlop.engine import disk_usage, image_store

    found = disk_usage.of_engine(location, image_store.open_store(location))
    if said["verbose"]:
        _show_all(found)
        return 0
    listing.show(
        said["format"],
        [_row(kind) for kind in found.kinds],
        (
            ("TYPE", "Type"),
            ("TOTAL", "TotalCount"),
            ("ACTIVE", "Active"),
            ("SIZE", "Size"),
            ("RECLAIMABLE", "Reclaimable"),
        ),
    )
    return 0


def _row(kind: Kind) -> dict[str, str]:
    from orlop.cli import units

    share = f" ({100 * kind.reclaimable // kind.size}%)" if kind.size else ""
    return {
        "Type": kind.name,
        "TotalCount": str(kind.total),
        "Active": str(kind.active),
        "Size": units.human_size(kind.size),
        "Reclaimable": f"{units.human_size(kind.reclaimable)}{share}",
    }


def _show_all(found: Usage) -> None:
    from orlop.cli import ago, listing, units
    from orlop.cli.images import NONE
    from orlop.images import reference

    def size(count: int) -> str:
        return units.human_size(count)

    sys.stdout.write("Images space usage:\n\n")
    listing.show(
        "table",
        [
            {
                "Name": reference.parse(image.names[0]).familiar if image.names else NONE,
                "ID": image.id[7:19],
                "Created": f"{ago.since(image.created)} ago" if image.created else "N/A",
                "Size": size(shared + own),
                "Shared": size(shared),
                "Unique": size(own),
                "Containers": str(containers),
            }
            for image, shared, own, containers in found.images
        ],
        (
            ("IMAGE", "Name"),
            ("IMAGE ID", "ID"),
            ("CREATED", "Created"),
            ("SIZE", "Size"),
            ("SHARED SIZE", "Shared"),
            ("UNIQUE SIZE", "Unique"),
            ("CONTAINERS", "Containers"),
        ),
    )
    sys.stdout.write("\nContainers space usage:\n\n")
    listing.show(
        "table",
        [
            {
                "ID": target.id[:12],
                "Image": target.record["Config"]["Image"],
                "Size": size(count),
                "Created": f"{ago.since(target.record['Created'])} ago",
                "Status": target.state()["Status"],
                "Name": target.name,
            }
            for target, count in found.containers
        ],
        (
            ("CONTAINER ID", "ID"),
            ("IMAGE", "Image"),
            ("SIZE", "Size"),
            ("CREATED", "Created"),
            ("STATUS", "Status"),
            ("NAMES", "Name"),
        ),
    )
    sys.stdout.write("\nLocal Volumes space usage:\n\n")
    listing.show(
        "table",
        [{"Name": name, "Links": str(links), "Size": size(count)} for name, count, links in found.volumes],
        (("VOLUME NAME", "Name"), ("LINKS", "Links"), ("SIZE", "Size")),
    )
