"""``orlop volume rm``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop volume rm",
    "VOLUME [VOLUME...]",
    "Remove one or more volumes",
    (Option("-f, --force", "Do not complain about volumes that are not there"),),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import repair, volume_store
    from orlop.errors import NotFound, OrlopError, told

    repair.everything(location)
    status = 0
    for name in said.arguments:
        try:
            volume_store.remove(location, name)
        except OrlopError as error:
            if not (said["force"] and isinstance(error, NotFound)):
                sys.stderr.write(f"Error: {told(error)}\n")
                status = 1
                continue
        sys.stdout.write(f"{name}\n")
    return status
