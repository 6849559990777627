"""``orlop network rm``."""

from __future__ import annotations

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop network rm",
    "NETWORK [NETWORK...]",
    "Remove one or more networks",
    (Option("-f, --force", "Do not complain about networks that are not there"),),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import each
    from orlop.engine import networks

    return each.remove_each(location, said, networks.remove, tells_all=False)
