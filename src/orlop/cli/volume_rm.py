"""``orlop volume rm``."""

from __future__ import annotations

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop volume rm",
    "VOLUME [VOLUME...]",
    "Remove one or more volumes",
    (Option("-f, --force", "Do not complain about volumes that are not there"),),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import each
    from orlop.engine import volume_store

    return each.remove_each(location, said, volume_store.remove, tells_all=True)
