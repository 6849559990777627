"""``orlop builder prune``."""

from __future__ import annotations

from orlop.cli import builder_du
from orlop.options import Option, Parser, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop builder prune",
    "",
    "Remove the build cache: results of steps, and the caches that steps mount",
    (
        Option("-a, --all", "Remove all of it, which is what is meant without this, too"),
        builder_du.FILTER,
        Option("-f, --force", "Do not prompt for confirmation"),
        Option("--keep-storage", "Amount of disk space to keep for cache", value="bytes", read=size, default=0),
        builder_du.VERBOSE,
    ),
    at_most=0,
)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import filters
    from orlop.cli import confirmation
    from orlop.engine.building import store

    if not said["force"] and not confirmation.confirmed("This will remove all build cache that is not in use."):
        return 0
    wanted = filters.read(said["filter"], store.tests())
    kept = store.to_keep(store.items(location), said["keep-storage"]) if said["keep-storage"] else set()
    removed = store.prune(location, lambda item: wanted(item) and item.id not in kept)
    builder_du.table(removed, verbose=said["verbose"])
    return 0
