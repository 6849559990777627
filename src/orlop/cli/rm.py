"""``orlop rm``."""

from __future__ import annotations

from orlop.cli.each import ALL, chosen, for_each
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop rm",
    "CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    (
        ALL,
        Option("-f, --force", "Force the removal of a running container (uses SIGKILL)"),
        Option("-l, --link", "Remove the specified link"),
        Option("-v, --volumes", "Remove anonymous volumes associated with the container"),
    ),
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import removal

    def remove(target: Container) -> None:
        removal.remove(target, force=said["force"], with_volumes=said["volumes"])

    if said["link"] and said.arguments:
        return _remove_links(location, said.arguments)
    return for_each(location, chosen(location, said, PARSER), remove, may_be_missing=said["force"])


def _remove_links(location: Location, wanted: Sequence[str]) -> int:
    import sys

    from orlop.engine import links
    from orlop.errors import OrlopError, told

    status = 0
    for text in wanted:
        try:
            links.remove(location, text)
            sys.stdout.write(f"{text}\n")
        except OrlopError as error:
            sys.stderr.write(f"Error: {told(error)}\n")
            status = 1
    return status
