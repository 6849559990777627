"""``orlop fork``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop fork",
    "CONTAINER [NEW_NAME]",
    "Create a container with the settings of another one and its files as they are now. Volumes with names and binds are "
    "shared; in place of others there are new ones",
    (
        Option("--snapshot", "Take the files from a snapshot of the container", value="snapshot", default=""),
        Option("--start", "Start the new container"),
    ),
    at_least=1,
    at_most=2,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, fork, repair, restart

    repair.everything(location)
    source = container.find(location, said.arguments[0])
    name = said.arguments[1] if len(said.arguments) > 1 else ""
    made = fork.fork(source, name, said["snapshot"])
    if not made.stood_still:
        sys.stderr.write(
            f"WARNING: container {source.name} cannot be paused: files that it was just writing may be half written\n"
        )
    if said["start"]:
        session = restart.start(made.container)
        if session is not None:
            session.wait_started()
            session.leave()
    sys.stdout.write(f"{made.container.id}\n")
    return 0
