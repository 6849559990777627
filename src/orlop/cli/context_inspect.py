"""``orlop context inspect``."""

from __future__ import annotations

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop context inspect",
    "[CONTEXT...]",
    "Display detailed information on contexts",
    (Option("-f, --format", "'json', or a template such as '{{.Name}}'", value="string"),),
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import contexts, inspect

    def describe(name: str) -> dict[str, Any]:
        contexts.check(name)
        return contexts.describe(location)

    return inspect.show(said["format"], said.arguments or [contexts.DEFAULT], [describe])
