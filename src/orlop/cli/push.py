"""``orlop push``."""

from __future__ import annotations

import sys

from orlop.cli import platform_option, transfer_options
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop push",
    "NAME[:TAG]",
    "Upload an image to a registry",
    (
        Option("-a, --all-tags", "Push all tags of an image to the repository"),
        transfer_options.CONTENT_TRUST,
        platform_option.OPTION,
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
    from orlop.engine import image_store, image_transfer

    if not said["all-tags"]:
        platform_option.check(said, image_store.open_store(location), said.arguments)
    transfer_options.refuse_content_trust(said)
    how = transfer_options.shown_as(said)
    with progress.choose(sys.stdout, how) as shown:
        names = image_transfer.push(location, said.arguments[0], shown, every_tag=said["all-tags"])
    if said["quiet"]:
        sys.stdout.write("".join(f"{each}\n" for each in names))
    return 0
