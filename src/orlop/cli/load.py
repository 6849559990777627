"""``orlop load``."""

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
    "orlop load",
    "",
    "Load images from an archive of docker, podman, skopeo or orlop, or from an OCI layout's directory",
    (
        Option("-i, --input", "Read from a tar archive or a directory, instead of STDIN", value="string"),
        transfer_options.platform("Load the image of this platform"),
        transfer_options.PROGRESS,
        transfer_options.quiet("Suppress the load output"),
    ),
    at_most=0,
)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import progress
    from orlop.engine import image_transfer
    from orlop.errors import InvalidArgument
    from orlop.images import reference

    path = said["input"]
    if not path and os.isatty(0):
        raise InvalidArgument("requested load from stdin, but stdin is empty: use -i or redirect an archive")
    how = transfer_options.shown_as(said)
    if how == "auto" and not sys.stdout.isatty():
        how = "quiet"  # scripts read the names from what is printed
    with progress.choose(sys.stdout, how) as shown:
        loaded = image_transfer.load(
            location, path or 0, path or "the archive on standard input", shown, wanted=said["platform"] or ""
        )
    for image, names in loaded:
        for name in names:
            sys.stdout.write(f"Loaded image: {reference.parse(name).familiar}\n")
        if not names:
            sys.stdout.write(f"Loaded image ID: {image.id}\n")
    return 0
