"""``orlop kill``."""

from __future__ import annotations

from orlop.cli.each import ALL, chosen, for_each
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop kill",
    "CONTAINER [CONTAINER...]",
    "Kill one or more running containers",
    (
        ALL,
        Option("-s, --signal", "Signal to send to the container", value="string", default="KILL"),
    ),
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import signalling

    def kill(target: Container) -> None:
        signalling.kill(target, said["signal"])

    return for_each(location, chosen(location, said, PARSER, "running", "paused", "restarting"), kill)
