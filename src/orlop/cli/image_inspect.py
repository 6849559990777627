"""``orlop image inspect``."""

from __future__ import annotations

from orlop.cli import platform_option
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop image inspect",
    "IMAGE [IMAGE...]",
    "Display detailed information on one or more images",
    (
        Option("-f, --format", "'json', or a template such as '{{.Architecture}}'", value="string"),
        platform_option.OPTION,
    ),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import inspect
    from orlop.engine import image_store

    platform_option.check(said, image_store.open_store(location), said.arguments)
    return inspect.show(said["format"], said.arguments, [inspect.image_of(location)])
