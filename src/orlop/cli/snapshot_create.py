"""``orlop snapshot create``, and ``orlop snapshot CONTAINER``."""

from __future__ import annotations

import sys

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop snapshot create",
    "CONTAINER [SNAPSHOT]",
    "Save a container's files, running or not; its volumes and binds are not part of it. Without a name it gets a number",
    at_least=1,
    at_most=2,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, container_snapshots, repair

    repair.everything(location)
    target = container.find(location, said.arguments[0])
    saved = container_snapshots.save(target, said.arguments[1] if len(said.arguments) > 1 else "")
    if not saved.stood_still:
        sys.stderr.write(
            f"WARNING: container {target.name} cannot be paused: files that it was just writing may be half written\n"
        )
    sys.stdout.write(f"{saved.name}\n")
    return 0
