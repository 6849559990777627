"""``orlop container prune``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.engine.prune import Pruned
    from orlop.options import Parsed

PARSER = Parser(
    "orlop container prune",
    "",
    "Remove all stopped containers",
    (
        Option("--filter", "Only those with this until=TIME, label=KEY[=VALUE] or label!=…", value="filter", many=True),
        Option("-f, --force", "Do not prompt for confirmation"),
    ),
    at_most=0,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import confirmation

    if not said["force"] and not confirmation.confirmed("This will remove all stopped containers."):
        return 0
    from orlop import units

    done = prune(location, said["filter"])
    sys.stdout.write(f"Total reclaimed space: {units.human_size(done.freed)}\n")
    return 0


def prune(location: Location, words: list[str]) -> Pruned:
    """Remove the stopped containers that pass these filters, and tell which."""
    from orlop import filters
    from orlop.engine import prune

    done = prune.containers(location, filters.read(words, prune.tests_of_containers()))
    if done.names:
        sys.stdout.write("Deleted Containers:\n" + "".join(f"{each}\n" for each in done.names) + "\n")
    return done
