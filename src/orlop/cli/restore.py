"""``orlop restore``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop restore",
    "CONTAINER SNAPSHOT",
    "Have a container's files be as a snapshot has them; one that runs is restarted for that. Volumes and binds stay as "
    "they are",
    (
        Option(
            "-t, --timeout, --time",
            "Seconds to wait for a running container to stop before it is killed (-1 to wait for ever)",
            value="int",
            read=integer,
        ),
    ),
    at_least=2,
    at_most=2,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, container_snapshots, repair

    repair.everything(location)
    name, snapshot = said.arguments
    container_snapshots.restore(container.find(location, name), snapshot, said["timeout"])
    sys.stdout.write(f"{name}\n")
    return 0
