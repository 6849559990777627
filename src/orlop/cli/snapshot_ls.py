"""``orlop snapshot ls``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop snapshot ls",
    "CONTAINER",
    "List the snapshots of a container's files, the oldest first",
    (
        Option("--format", "'table', 'json', or a template such as '{{.Name}}'", value="string", default="table"),
        Option("-q, --quiet", "Only display names"),
    ),
    at_least=1,
    at_most=1,
)
IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import ago, units
    from orlop.cli import listing
    from orlop.engine import container, container_snapshots, image_store

    found = container_snapshots.every(container.find(location, said.arguments[0]))
    if said["quiet"]:
        sys.stdout.write("".join(f"{each.name}\n" for each in found))
        return 0
    snapshots = image_store.open_storage(location).snapshots
    rows = [
        {
            "Name": each.name,
            "CreatedAt": each.created,
            "CreatedSince": f"{ago.since(each.created)} ago",
            "Size": units.human_size(snapshots.usage(each.layer).bytes),
        }
        for each in found
    ]
    listing.show(said["format"], rows, (("NAME", "Name"), ("CREATED", "CreatedSince"), ("SIZE", "Size")))
    return 0
