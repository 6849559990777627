"""``orlop context use``."""

from __future__ import annotations

import sys

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser("orlop context use", "CONTEXT", "Set the current context", at_least=1, at_most=1)


def run(_location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import contexts

    (name,) = said.arguments
    contexts.check(name)
    sys.stdout.write(f"{name}\n")
    sys.stderr.write(f'Current context is now "{name}"\n')
    return 0
