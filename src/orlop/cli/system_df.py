"""``orlop system df``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.disk_usage import Kind, Usage
    from orlop.engine.location import Location
    from orlop.images.store import Image
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
        _show_all(found, said["format"])
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
    from orlop import units

    share = f" ({100 * kind.reclaimable // kind.size}%)" if kind.size else ""
    return {
        "Type": kind.name,
        "TotalCount": str(kind.total),
        "Active": str(kind.active),
        "Size": units.human_size(kind.size),
        "Reclaimable": f"{units.human_size(kind.reclaimable)}{share}",
    }


#: The parts of the verbose view: its field, its title, and the columns of its table.
_PARTS = (
    (
        "Images",
        "Images space usage:",
        (
            ("REPOSITORY", "Repository"),
            ("TAG", "Tag"),
            ("IMAGE ID", "ID"),
            ("CREATED", "CreatedSince"),
            ("SIZE", "Size"),
            ("SHARED SIZE", "SharedSize"),
            ("UNIQUE SIZE", "UniqueSize"),
            ("CONTAINERS", "Containers"),
        ),
    ),
    (
        "Containers",
        "Containers space usage:",
        (
            ("CONTAINER ID", "ID"),
            ("IMAGE", "Image"),
            ("SIZE", "Size"),
            ("CREATED", "CreatedSince"),
            ("STATUS", "Status"),
            ("NAMES", "Names"),
        ),
    ),
    ("Volumes", "Local Volumes space usage:", (("VOLUME NAME", "Name"), ("LINKS", "Links"), ("SIZE", "Size"))),
)


def _show_all(found: Usage, format_: str) -> None:
    """Every image, container and volume: a table of each kind, or all of them as one object in a format."""
    from orlop.cli import listing, template

    everything = _everything(found)
    if format_.strip() not in ("", "table"):
        wanted = "{{json .}}" if format_ == "json" else format_
        sys.stdout.write(template.render(wanted, everything) + "\n")
        return
    for number, (field, title, columns) in enumerate(_PARTS):
        sys.stdout.write("\n" * bool(number) + f"{title}\n\n")
        listing.show("table", everything[field], columns)


def _everything(found: Usage) -> dict[str, list[dict[str, str]]]:
    from orlop import ago, units
    from orlop.errors import NotFound

    def since(moment: str) -> str:
        return f"{ago.since(moment)} ago" if moment else "N/A"

    images = []
    for image, shared, own, containers in found.images:
        repository, tag = _name(image)
        images.append(
            {
                "Repository": repository,
                "Tag": tag,
                "ID": image.id[7:19],
                "CreatedSince": since(image.created),
                "Size": units.human_size(shared + own),
                "SharedSize": units.human_size(shared),
                "UniqueSize": units.human_size(own),
                "Containers": str(containers),
            }
        )
    users = []
    for target, count in found.containers:
        try:
            record, state = target.record, target.state()
        except NotFound:
            continue  # removed meanwhile
        users.append(
            {
                "ID": target.id[:12],
                "Image": record["Config"]["Image"],
                "Size": units.human_size(count),
                "CreatedSince": since(record["Created"]),
                "Status": state["Status"],
                "Names": record["Name"],
            }
        )
    volumes = [
        {"Name": name, "Links": str(links), "Size": units.human_size(count)} for name, count, links in found.volumes
    ]
    return {"Images": images, "Containers": users, "Volumes": volumes}


def _name(image: Image) -> tuple[str, str]:
    """Repository and tag of an image's first name, as lists of images show them."""
    from orlop.cli.images import NONE
    from orlop.images import reference

    if not image.names:
        return NONE, NONE
    name = reference.parse(image.names[0])
    return name.familiar_name, name.tag or NONE
