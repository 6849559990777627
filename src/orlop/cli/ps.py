"""``orlop ps``."""

from __future__ import annotations

from orlop.options import Option, Parser, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.container_list import ImageNames, Listed
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop ps",
    "",
    "List containers",
    (
        Option("-a, --all", "Show all containers (default shows just running)"),
        Option("-f, --filter", "Filter output based on conditions provided", value="filter", many=True),
        Option("--format", "'table', 'table TEMPLATE', 'json', or a template such as '{{.Names}}'", value="string"),
        Option("-n, --last", "Show n last created containers (includes all states)", value="int", read=integer),
        Option("-l, --latest", "Show the latest created container (includes all states)"),
        Option("--no-trunc", "Don't truncate output"),
        Option("-q, --quiet", "Only display container IDs"),
        Option("-s, --size", "Display total file sizes"),
    ),
    at_most=0,
)

_COLUMNS = (
    ("CONTAINER ID", "ID"),
    ("IMAGE", "Image"),
    ("COMMAND", "Command"),
    ("CREATED", "RunningFor"),
    ("STATUS", "Status"),
    ("PORTS", "Ports"),
    ("NAMES", "Names"),
)
_SIZE = ("SIZE", "Size")
_RAW = (
    ("container_id", "ID"),
    ("image", "Image"),
    ("command", "Command"),
    ("created_at", "CreatedAt"),
    ("state", "State"),
    ("status", "Status"),
    ("names", "Names"),
    ("labels", "Labels"),
    ("ports", "Ports"),
)
_LONGEST_COMMAND = 20
_LONGEST_MOUNT = 15


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import filters
    from orlop.cli import listing
    from orlop.engine import container_list

    wanted = filters.read(said["filter"], container_list.tests(location))
    found = container_list.listed(
        location, wanted, everything=said["all"], last=1 if said["latest"] else said["last"] or 0
    )
    sized = said["size"] or ".Size" in (said["format"] or "")
    if sized and location.rootless:
        from orlop.engine import own_namespace

        own_namespace.enter()  # where files of the user's subordinate ids can be seen
    images = container_list.ImageNames(location)
    listing.show(
        said["format"] or "table",
        (row(each, images, full=said["no-trunc"], sized=sized) for each in found),
        (*_COLUMNS, _SIZE) if said["size"] else _COLUMNS,
        quiet="ID" if said["quiet"] else "",
        raw=(*_RAW, ("size", "Size")) if said["size"] else _RAW,
    )
    return 0


def row(each: Listed, images: ImageNames, *, full: bool = False, sized: bool = False) -> dict[str, Any]:
    """What is listed of a container; ``full`` is nothing shortened, ``sized`` with what it takes on the disk."""
    from orlop import ago
    from orlop.cli.gotemplate.values import Method, quote
    from orlop.engine import ports

    record = each.record
    labels = record["Config"]["Labels"]
    command = each.command()
    mounts = each.mounts()
    image = images.of(record)
    if not full:
        if image == record["Image"] and image.startswith("sha256:"):
            image = image[7:19]
        command = _shortened(command, _LONGEST_COMMAND)
        mounts = [_shortened(name, _LONGEST_MOUNT) for name in mounts]
    return {
        "Command": quote(command),
        "CreatedAt": ago.local(each.created),
        "ID": each.target.id if full else each.target.id[:12],
        "Image": image,
        "Label": Method(lambda key: labels.get(key, "")),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "LocalVolumes": str(sum(point["Type"] == "volume" for point in record.get("Mounts", ()))),
        "Mounts": ",".join(mounts),
        "Names": each.target.name,
        "Networks": ",".join(each.networks()),
        "Platform": None,
        "Ports": ports.displayed(each.ports()),
        "RunningFor": f"{ago.since(each.created)} ago",
        "Size": _size(each.target) if sized else "0B",
        "State": each.state["Status"],
        "Status": each.status(),
    }


def _size(target: Container) -> str:
    from orlop import units
    from orlop.engine import container_size

    size = container_size.of(target)
    text = units.human_size(size.own, 3)
    return f"{text} (virtual {units.human_size(size.whole, 3)})" if size.whole else text


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
