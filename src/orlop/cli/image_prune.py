"""``orlop image prune``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.image_removal import Removed
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop image prune",
    "",
    "Remove unused images",
    (
        Option("-a, --all", "Remove all unused images, not just those without a name"),
        Option("--filter", "Only those with this until=TIME, label=KEY[=VALUE] or label!=…", value="filter", many=True),
        Option("-f, --force", "Do not prompt for confirmation"),
    ),
    at_most=0,
)

IN_NAMESPACE = True

_FILTERS = ("label", "label!", "until")


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import confirmation

    what = "all images without at least one container associated to them" if said["all"] else "all dangling images"
    if not said["force"] and not confirmation.confirmed(f"This will remove {what}."):
        return 0
    report(prune(location, everything=said["all"], words=said["filter"]), "Images")
    return 0


def prune(location: Location, *, everything: bool, words: list[str], downloads: bool = False) -> Removed:
    """Remove the images that no container uses, or those of them without a name, and what nothing needs any more.

    With ``downloads`` interrupted downloads are among that, however new.
    """
    from orlop import filters
    from orlop.engine import image_filters, image_removal, image_store

    store = image_store.open_store(location)
    known = image_filters.known(store)
    wanted = filters.read(words, {key: known[key] for key in _FILTERS})
    chosen = [image for image in store.images() if (everything or not image.tags) and wanted(image)]
    return image_removal.prune(location, store, chosen, downloads=downloads)


def report(removed: Removed, title: str) -> None:
    """Tell what was removed, as Docker does."""
    from orlop import units
    from orlop.images import reference

    if removed.untagged or removed.deleted:
        sys.stdout.write(f"Deleted {title}:\n")
        for name in removed.untagged:
            sys.stdout.write(f"untagged: {reference.parse(name).familiar}\n")
        for digest in removed.deleted:
            sys.stdout.write(f"deleted: {digest}\n")
        sys.stdout.write("\n")
    sys.stdout.write(f"Total reclaimed space: {units.human_size(removed.freed)}\n")
