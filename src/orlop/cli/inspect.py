"""``orlop inspect``."""

from __future__ import annotations

import sys

from orlop.errors import InvalidReference, NotFound, told
from orlop.options import Option, Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from orlop.engine.location import Location
    from orlop.options import Parsed

    #: Describes the object that a name means, or raises NotFound.
    Description = Callable[[str], dict[str, Any]]

SIZE = Option("-s, --size", "Display total file sizes if the type is container")

PARSER = Parser(
    "orlop inspect",
    "NAME|ID [NAME|ID...]",
    "Return low-level information on containers, images, volumes and networks",
    (
        Option("-f, --format", "'json', or a template such as '{{.State.Status}}'", value="string"),
        SIZE,
        Option(
            "--type",
            "Only look for this: container, image, volume or network",
            value="string",
            read=one_of("container", "image", "volume", "network"),
        ),
    ),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    kinds: list[Description] = []
    if said["type"] in (None, "container"):
        kinds.append(container_of(location, sized=said["size"]))
    if said["type"] in (None, "image"):
        kinds.append(image_of(location))
    if said["type"] in (None, "volume"):
        kinds.append(volume_of(location))
    if said["type"] in (None, "network"):
        kinds.append(network_of(location))
    return show(said["format"], said.arguments, kinds)


def container_of(location: Location, *, sized: bool = False) -> Description:
    """Descriptions of containers; ``sized`` ones tell what the container takes on the disk."""
    from orlop.engine import container, inspection, repair

    repair.everything(location)
    if not sized:
        return lambda name: inspection.describe(container.find(location, name))
    if location.rootless:
        from orlop.engine import own_namespace

        own_namespace.enter()  # where files of the user's subordinate ids can be seen

    def describe(name: str) -> dict[str, Any]:
        from orlop.engine import container_size

        target = container.find(location, name)
        size = container_size.of(target)
        return {**inspection.describe(target), "SizeRw": size.own, "SizeRootFs": size.whole}

    return describe


def image_of(location: Location) -> Description:
    """Descriptions of images."""
    from orlop.engine import image_inspection, image_store

    images = image_store.open_store(location)
    return lambda name: image_inspection.describe(images, images.find(name))


def volume_of(location: Location) -> Description:
    """Descriptions of volumes."""
    from orlop.engine import volume_store

    return lambda name: volume_store.find(location, name)


def network_of(location: Location) -> Description:
    """Descriptions of networks."""
    from orlop.engine import networks

    return lambda name: networks.describe(location, name)


def exists(name: str, kind: Description) -> int:
    """The exit status of the commands ``exists``: 0 if there is such an object, 1 if there is none."""
    try:
        kind(name)
    except NotFound:
        return 1
    return 0


def show(format_: str | None, names: Sequence[str], kinds: Sequence[Description]) -> int:
    """Print what the names mean, each the first kind that has it; 1 if one was not found."""
    from orlop import json_text
    from orlop.cli.template import Template

    template = Template(format_) if format_ not in (None, "", "json") else None
    found: list[dict[str, Any]] = []
    status = 0
    for name in names:
        try:
            found.append(_describe(name, kinds))
        except NotFound as error:
            sys.stderr.write(f"Error: {told(error)}\n")
            status = 1
    if template is not None:
        sys.stdout.writelines(template.render(each) + "\n" for each in found)
    else:
        sys.stdout.write((json_text.dumps(found) if format_ == "json" else json_text.pretty(found, 4)) + "\n")
    return status


def _describe(name: str, kinds: Sequence[Description]) -> dict[str, Any]:
    if len(kinds) == 1:
        return kinds[0](name)
    for kind in kinds:
        try:
            return kind(name)
        except (NotFound, InvalidReference):
            continue
    raise NotFound(f"no such object: {name}")
