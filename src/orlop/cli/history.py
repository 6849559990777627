"""``orlop history``."""

from __future__ import annotations

from orlop.cli import platform_option
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location
    from orlop.images.store import Image
    from orlop.options import Parsed

PARSER = Parser(
    "orlop history",
    "IMAGE",
    "Show the history of an image",
    (
        Option("--format", "'table', 'json', or a template such as '{{.CreatedBy}}'", value="string", default="table"),
        Option("-H, --human", "Print sizes and dates in human readable format", default=True),
        Option("--no-trunc", "Don't truncate output"),
        platform_option.OPTION,
        Option("-q, --quiet", "Only show image IDs"),
    ),
    at_least=1,
    at_most=1,
)

_LONGEST = 45


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import listing
    from orlop.engine import image_store

    images = image_store.open_store(location)
    platform_option.check(said, images, said.arguments)
    image = images.find(said.arguments[0])
    rows = _rows(image, said)
    listing.show(said["format"], rows, COLUMNS, quiet="ID" if said["quiet"] else "")
    return 0


def _rows(image: Image, said: Parsed) -> list[dict[str, Any]]:
    """One row for each step, the last first; only the last has an ID of its own."""
    from orlop import ago, clock, units

    config = image.config
    sizes = iter(image.layers)
    rows: list[dict[str, Any]] = []
    for step in config.history:
        size = 0 if step.empty_layer else next(sizes, 0)
        created_by = step.created_by
        if not said["no-trunc"]:
            created_by = created_by.replace("\t", " ").replace("\n", " ")
            if len(created_by) > _LONGEST:
                created_by = created_by[: _LONGEST - 1] + "…"
        created = clock.in_utc(step.created)
        rows.append(
            {
                "ID": "<missing>",
                "CreatedSince": f"{ago.since(created)} ago" if created else "N/A",
                "CreatedAt": created,
                "CreatedBy": created_by,
                "Size": units.human_size(size, 3) if said["human"] else str(size),
                "Comment": step.comment,
            }
        )
    if not rows:
        return rows
    rows[-1]["ID"] = image.id if said["no-trunc"] else image.id[7:19]
    if not said["human"]:
        for row in rows:
            row["CreatedSince"] = row["CreatedAt"]
    return rows[::-1]


COLUMNS = (
    ("IMAGE", "ID"),
    ("CREATED", "CreatedSince"),
    ("CREATED BY", "CreatedBy"),
    ("SIZE", "Size"),
    ("COMMENT", "Comment"),
)
