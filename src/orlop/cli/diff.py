"""``orlop diff``."""

from __future__ import annotations

import sys

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop diff",
    "CONTAINER",
    "Inspect changes to files or directories on a container's filesystem",
    at_least=1,
    at_most=1,
)

IN_NAMESPACE = True

_LETTERS = "CAD"


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, differences

    found = differences.differences(container.find(location, said.arguments[0]))
    sys.stdout.writelines(f"{_LETTERS[each.kind]} {each.path}\n" for each in found)
    return 0
