"""``orlop commit``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop commit",
    "CONTAINER [REPOSITORY[:TAG]]",
    "Create a new image from a container's changes",
    (
        Option(
            "-a, --author", 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', value="string", default=""
        ),
        Option("-c, --change", "Apply Dockerfile instruction to the created image", value="list", many=True),
        Option("-m, --message", "Commit message", value="string", default=""),
        Option("-p, --pause", "Pause container during commit", default=True),
    ),
    at_least=1,
    at_most=2,
)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import commit, container
    from orlop.images.commit import Description

    target = container.find(location, said.arguments[0])
    name = said.arguments[1] if len(said.arguments) > 1 else ""
    description = Description(said["author"], said["message"], said["change"])
    made = commit.commit(target, name, description, pause=said["pause"])
    for warning in made.warnings:
        sys.stderr.write(f"WARNING: {warning}\n")
    sys.stdout.write(f"{made.image.id}\n")
    return 0
