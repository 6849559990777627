"""``orlop rm``."""

from __future__ import annotations

from orlop.cli.each import for_each
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop rm",
    "CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    (
        # Containers were linked by it once, which nothing does any more.
        Option("-l, --link", "Remove the specified link", hidden=True),
        Option("-f, --force", "Force the removal of a running container (uses SIGKILL)"),
        Option("-v, --volumes", "Remove anonymous volumes associated with the container"),
    ),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import removal
    from orlop.errors import Conflict

    def remove(target: Container) -> None:
        if said["link"]:
            raise Conflict(f"cannot remove a link of container {target.name}: it has none but its name")
        removal.remove(target, force=said["force"], with_volumes=said["volumes"])

    return for_each(location, said.arguments, remove, may_be_missing=said["force"])
