"""``orlop context show``."""

from __future__ import annotations

import sys

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser("orlop context show", "", "Print the name of the current context", at_most=0)


def run(_location: Location, _said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import contexts

    sys.stdout.write(f"{contexts.DEFAULT}\n")
    return 0
