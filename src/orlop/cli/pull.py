"""``orlop pull``."""

from __future__ import annotations

import sys

from orlop.cli import transfer_options
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop pull",
    "NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    (
        Option("-a, --all-tags", "Download all tagged images in the repository"),
        transfer_options.platform("Pull the image of this platform"),
        transfer_options.CONTENT_TRUST,
        transfer_options.PROGRESS,
        transfer_options.quiet(),
    ),
    at_least=1,
    at_most=1,
)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import progress
    from orlop.engine import image_transfer

    transfer_options.refuse_content_trust(said)
    how = transfer_options.shown_as(said)
    with progress.choose(sys.stdout, how) as shown:
        names = image_transfer.pull(
            location, said.arguments[0], shown, every_tag=said["all-tags"], wanted=said["platform"] or ""
        )
    if said["progress"] != "json" or said["quiet"]:
        sys.stdout.write("".join(f"{each}\n" for each in names))
    return 0
