"""``orlop container inspect``."""

from __future__ import annotations

from orlop.cli.inspect import SIZE
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop container inspect",
    "CONTAINER [CONTAINER...]",
    "Display detailed information on one or more containers",
    (Option("-f, --format", "'json', or a template such as '{{.State.Status}}'", value="string"), SIZE),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import inspect

    return inspect.show(said["format"], said.arguments, [inspect.container_of(location, sized=said["size"])])
