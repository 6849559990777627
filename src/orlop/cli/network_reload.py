"""``orlop network reload``."""

from __future__ import annotations

import sys

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop network reload",
    "",
    "Put back what of the networks somebody has removed: firewall rules, bridges, published ports.\n\n"
    "Each start of a container does the same for the rules.",
    (),
    at_most=0,
)


def run(location: Location, said: Parsed) -> int:  # noqa: ARG001 - it has no options
    """Carry the command out."""
    from orlop.engine import networks, repair

    repair.everything(location)
    for line in networks.reload(location):
        sys.stderr.write(f"WARNING: {line}\n")
    return 0
