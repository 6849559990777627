"""``orlop volume prune``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop volume prune",
    "",
    "Remove unused local volumes",
    (
        Option("-a, --all", "Remove all unused volumes, not just anonymous ones"),
        Option("--filter", "Only those with this label=KEY[=VALUE] or label!=…", value="filter", many=True),
        Option("-f, --force", "Do not prompt for confirmation"),
    ),
    at_most=0,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import filters, units
    from orlop.cli import confirmation
    from orlop.engine import prune, repair, volume_store

    wanted = filters.read(said["filter"], prune.tests_of_volumes())
    everything = said["all"] or "all" in wanted.keys
    which = "all local" if everything else "anonymous local"
    warning = f"This will remove {which} volumes not used by at least one container."
    if not said["force"] and not confirmation.confirmed(warning):
        return 0
    repair.everything(location)
    done = prune.volumes(location, lambda volume: (everything or volume_store.is_anonymous(volume)) and wanted(volume))
    if done.names:
        sys.stdout.write("Deleted Volumes:\n" + "".join(f"{each}\n" for each in done.names) + "\n")
    sys.stdout.write(f"Total reclaimed space: {units.human_size(done.freed)}\n")
    return 0
