"""``orlop system df``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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
        _show_all(location, found, said["format"])
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
            ("COMMAND", "Command"),
            ("LOCAL VOLUMES", "LocalVolumes"),
            ("SIZE", "Size"),
            ("CREATED", "RunningFor"),
            ("STATUS", "Status"),
            ("NAMES", "Names"),
        ),
    ),
    ("Volumes", "Local Volumes space usage:", (("VOLUME NAME", "Name"), ("LINKS", "Links"), ("SIZE", "Size"))),
    (
        "BuildCache",
        "Build cache usage: {}",
        (
            ("CACHE ID", "ID"),
            ("CACHE TYPE", "CacheType"),
            ("SIZE", "Size"),
            ("CREATED", "CreatedSince"),
            ("LAST USED", "LastUsedSince"),
            ("USAGE", "UsageCount"),
            ("SHARED", "Shared"),
        ),
    ),
)


def _show_all(location: Location, found: Usage, format_: str) -> None:
    """Every image, container, volume and result of a build: a table of each kind, or all as one object in a format."""
    from orlop import units
    from orlop.cli import listing, template

    everything = _everything(location, found)
    if format_.strip() not in ("", "table"):
        wanted = "{{json .}}" if format_ == "json" else format_
        sys.stdout.write(template.render(wanted, everything) + "\n")
        return
    for number, (field, title, columns) in enumerate(_PARTS):
        total = next((units.human_size(kind.size) for kind in found.kinds if kind.name == "Build Cache"), "0B")
        sys.stdout.write("\n" * bool(number) + f"{title.format(total)}\n\n")
        listing.show("table", everything[field], columns)


def _everything(location: Location, found: Usage) -> dict[str, list[dict[str, Any]]]:
    return {
        "Images": _images(found),
        "Containers": _containers(location, found),
        "Volumes": _volumes(found),
        "BuildCache": _build_cache(location),
    }


def _images(found: Usage) -> list[dict[str, Any]]:
    from orlop import ago, units

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
    return images


def _containers(location: Location, found: Usage) -> list[dict[str, Any]]:
    from orlop import filters, units
    from orlop.cli import ps
    from orlop.engine import container_list

    sizes = {target.id: count for target, count in found.containers}
    listed = container_list.listed(location, filters.read((), {}), everything=True)
    images = container_list.ImageNames(location)
    return [{**ps.row(each, images), "Size": units.human_size(sizes.get(each.target.id, 0))} for each in listed]


def _volumes(found: Usage) -> list[dict[str, Any]]:
    from orlop import units

    return [
        {"Name": name, "Links": str(links), "Size": units.human_size(count)} for name, count, links in found.volumes
    ]


def _build_cache(location: Location) -> list[dict[str, Any]]:
    from orlop import ago, clock, units
    from orlop.engine.building import store

    rows = []
    for each in store.items(location):
        used = f"{ago.since(clock.text(int(each.used * 1_000_000_000)))} ago"
        rows.append(
            {
                "ID": each.id[:12],
                "CacheType": each.kind,
                "Size": units.human_size(each.size),
                "CreatedSince": used,
                "LastUsedSince": used,
                "UsageCount": "1",
                "Shared": "false",
                "InUse": "true" if each.is_busy else "false",
            }
        )
    return rows


def _name(image: Image) -> tuple[str, str]:
    """Repository and tag of an image's first name, as lists of images show them."""
    from orlop.cli.images import NONE
    from orlop.images import reference

    if not image.names:
        return NONE, NONE
    name = reference.parse(image.names[0])
    return name.familiar_name, name.tag or NONE
