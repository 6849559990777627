"""``orlop wait``."""

from __future__ import annotations

import sys

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop wait",
    "CONTAINER [CONTAINER...]",
    "Block until one or more containers stop, then print their exit codes",
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, control, repair
    from orlop.errors import OrlopError, told

    repair.everything(location)
    status = 0
    for name in said.arguments:
        try:
            sys.stdout.write(f"{control.wait(container.find(location, name))}\n")
            sys.stdout.flush()
        except OrlopError as error:
            sys.stderr.write(f"Error: {told(error)}\n")
            status = 1
    return status
