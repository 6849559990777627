"""``orlop rename``."""

from __future__ import annotations

import sys

from orlop.errors import InvalidArgument, OrlopError, told
from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser("orlop rename", "CONTAINER NEW_NAME", "Rename a container", at_least=2, at_most=2)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, rename

    old, new = (word.strip() for word in said.arguments)
    try:
        if not (old and new):
            raise InvalidArgument("neither old nor new names may be empty")
        rename.rename(container.find(location, old), new)
    except OrlopError as error:
        sys.stderr.write(f"Error: {told(error)}\n")
        return 1
    return 0
