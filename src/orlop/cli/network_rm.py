"""``orlop network rm``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop network rm",
    "NETWORK [NETWORK...]",
    "Remove one or more networks",
    (Option("-f, --force", "Do not complain about networks that are not there"),),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import networks, repair
    from orlop.errors import NotFound, OrlopError, told

    repair.everything(location)
    status = 0
    for name in said.arguments:
        try:
            networks.remove(location, name)
        except OrlopError as error:
            if not (said["force"] and isinstance(error, NotFound)):
                sys.stderr.write(f"Error: {told(error)}\n")
                status = 1
            continue
        sys.stdout.write(f"{name}\n")
    return status
