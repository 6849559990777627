"""``orlop builder du``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.engine.building.store import Item
    from orlop.engine.location import Location
    from orlop.options import Parsed

FILTER = Option(
    "--filter", "Only those with this until=TIME, type=regular|exec.cachemount or id=ID", value="filter", many=True
)
VERBOSE = Option("--verbose", "Also say which step each is the result of")

PARSER = Parser("orlop builder du", "", "Show what the build cache takes on the disk", (FILTER, VERBOSE), at_most=0)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import filters
    from orlop.engine.building import store

    wanted = filters.read(said["filter"], store.tests())
    table([item for item in store.items(location) if wanted(item)], verbose=said["verbose"])
    return 0


def table(items: Sequence[Item], *, verbose: bool) -> None:
    """Show what is kept, or was, and what it takes."""
    import time

    from orlop import ago, units

    now = time.time()
    rows = [("ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED", "STEP" if verbose else "")]
    for item in items:
        used = f"{ago.words(now - item.used)} ago"
        text = item.text.replace("\n", " ")[:100] if verbose else ""
        rows.append((item.id, "false" if item.is_busy else "true", units.human_size(item.size), used, text))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        sys.stdout.write(
            "   ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() + "\n"
        )
    sys.stdout.write(f"Total:\t{units.human_size(sum(item.size for item in items))}\n")
