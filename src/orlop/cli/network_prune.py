"""``orlop network prune``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop network prune",
    "",
    "Remove all unused networks",
    (
        Option("--filter", "Only those with this label=KEY[=VALUE], label!=… or until=TIME", value="filter", many=True),
        Option("-f, --force", "Do not prompt for confirmation"),
    ),
    at_most=0,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import filters
    from orlop.cli import confirmation
    from orlop.engine import network_filters, networks, repair

    wanted = filters.read(said["filter"], network_filters.of_prune())
    warning = "This will remove all custom networks not used by at least one container."
    if not said["force"] and not confirmation.confirmed(warning):
        return 0
    repair.everything(location)
    gone = networks.prune(location, wanted)
    if gone:
        sys.stdout.write("Deleted Networks:\n" + "".join(f"{name}\n" for name in gone) + "\n")
    return 0
