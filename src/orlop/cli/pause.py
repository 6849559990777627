"""``orlop pause``."""

from __future__ import annotations

from orlop.cli.each import ALL, chosen, for_each
from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser("orlop pause", "CONTAINER [CONTAINER...]", "Pause all processes within one or more containers", (ALL,))


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import pausing

    return for_each(location, chosen(location, said, PARSER, "running"), pausing.pause)
