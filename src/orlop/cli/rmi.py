"""``orlop rmi``."""

from __future__ import annotations

import sys

from orlop.cli import platform_option
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop rmi",
    "IMAGE [IMAGE...]",
    "Remove one or more images",
    (
        Option("-f, --force", "Force removal of the image"),
        Option("--no-prune", "Leave the blobs and snapshots that nothing needs any more"),
        platform_option.OPTION,
    ),
    at_least=1,
)

IN_NAMESPACE = True

#: Inodes whose removal is not worth waiting for: all of it is out of sight already.
_MANY = 2000


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import background, image_removal, image_store
    from orlop.errors import NotFound, OrlopError, told
    from orlop.images import reference
    from orlop.storage import collect

    images = image_store.open_store(location)
    platform_option.check(said, images, said.arguments)
    status = inodes = 0
    for wanted in said.arguments:
        try:
            removed = image_removal.remove(
                location, images, wanted, force=said["force"], prune=not said["no-prune"], finished=False
            )
        except OrlopError as error:
            sys.stderr.write(f"Error: {told(error)}\n")
            if not (said["force"] and isinstance(error, NotFound)):
                status = 1
            continue
        inodes += removed.inodes
        for name in removed.untagged:
            sys.stdout.write(f"Untagged: {reference.parse(name).familiar}\n")
        for digest in removed.deleted:
            sys.stdout.write(f"Deleted: {digest}\n")
    sys.stdout.flush()
    if inodes < _MANY:
        collect.finish(images.storage)
    else:
        background.run("orlop-remove", lambda: collect.finish(images.storage))
    return status
