"""``orlop buildx version``, by which scripts find out whether there is a buildx."""

from __future__ import annotations

import sys

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser("orlop buildx version", "", "Show the version of what builds", at_most=0)


def run(_location: Location, _said: Parsed) -> int:
    """Carry the command out."""
    import orlop

    sys.stdout.write(f"orlop {orlop.__version__}\n")
    return 0
