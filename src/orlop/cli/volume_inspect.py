"""``orlop volume inspect``."""

from __future__ import annotations

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop volume inspect",
    "VOLUME [VOLUME...]",
    "Display detailed information on one or more volumes",
    (Option("-f, --format", "'json', or a template such as '{{.Mountpoint}}'", value="string"),),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import inspect

    return inspect.show(said["format"], said.arguments, [inspect.volume_of(location)])
