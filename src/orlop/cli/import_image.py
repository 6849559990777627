"""``orlop import``."""

from __future__ import annotations

import os
import sys

from orlop.cli import transfer_options
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
        transfer_options.platform("Set the platform of the image"),
    ),
    at_least=1,
    at_most=2,
)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.build import changes
    from orlop.engine import image_transfer
    from orlop.errors import InvalidArgument
    from orlop.images import platform
    from orlop.images.archive import download, file_system

    source, *rest = said.arguments
    name = image_transfer.imported_name(rest[0]) if rest else ""
    description = file_system.Description(
        execution=changes.applied(said["change"]),
        comment=said["message"] or f"Imported from {source}",
        platform=platform.parse(said["platform"]) if said["platform"] else None,
    )
    if source == "-":
        if os.isatty(0):
            raise InvalidArgument("requested import from stdin, but stdin is a terminal: redirect an archive")
        image = image_transfer.import_archive(location, 0, "the archive on standard input", name, description)
    else:
        with download.opened(source) as descriptor:
            image = image_transfer.import_archive(location, descriptor, source, name, description)
    sys.stdout.write(f"{image.id}\n")
    return 0
