"""``orlop import``."""

from __future__ import annotations

import os
import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop import",
    "file|URL|- [REPOSITORY[:TAG]]",
    "Create an image from a file system's tar archive, plain or compressed with gzip, zstd, xz or bzip2",
    (
        Option("-c, --change", "Apply Dockerfile instruction to the created image", value="list", many=True),
        Option("-m, --message", "Set commit message for imported image", value="string", default=""),
        Option("--platform", "Set the platform of the image (format: <os>[/<arch>[/<variant>]])", value="string"),
    ),
    at_least=1,
    at_most=2,
)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import image_events, image_store, sweep
    from orlop.errors import InvalidArgument, InvalidReference
    from orlop.images import platform, reference
    from orlop.images.archive import download, file_system

    source, *rest = said.arguments
    names = []
    if rest:
        name = reference.parse(rest[0]).with_default_tag()
        if name.digest:
            raise InvalidReference("cannot import digest reference")
        names.append(str(name))
    description = file_system.Description(
        changes=said["change"],
        comment=said["message"] or f"Imported from {source}",
        platform=platform.parse(said["platform"]) if said["platform"] else None,
    )
    images = image_store.open_store(location)
    with sweep.after_change(location, images):
        if source == "-":
            if os.isatty(0):
                raise InvalidArgument("requested import from stdin, but stdin is a terminal: redirect an archive")
            image = file_system.image_of(images, 0, "the archive on standard input", names, description)
        else:
            with download.opened(source) as descriptor:
                image = file_system.image_of(images, descriptor, source, names, description)
    image_events.happened(location, "import", image.id)
    sys.stdout.write(f"{image.id}\n")
    return 0
