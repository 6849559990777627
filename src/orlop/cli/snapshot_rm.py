"""``orlop snapshot rm``."""

from __future__ import annotations

import sys

from orlop.errors import OrlopError, told
from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop snapshot rm",
    "CONTAINER SNAPSHOT [SNAPSHOT...]",
    "Remove snapshots of a container's files",
    at_least=2,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, container_snapshots, repair

    repair.everything(location)
    name, *snapshots = said.arguments
    target = container.find(location, name)
    status = 0
    for each in snapshots:
        try:
            container_snapshots.remove(target, each)
        except OrlopError as error:
            sys.stderr.write(f"Error: {told(error)}\n")
            status = 1
        else:
            sys.stdout.write(f"{each}\n")
    return status
