"""``orlop restart``."""

from __future__ import annotations

from orlop.cli.each import ALL, chosen, for_each
from orlop.options import Option, Parser, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop restart",
    "CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    (
        ALL,
        Option("-s, --signal", "Signal to send to the container", value="string"),
        Option("-t, --time, --timeout", "Seconds to wait before killing the container", value="int", read=integer),
    ),
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import restart

    def action(target: Container) -> None:
        restart.restart(target, said["time"], said["signal"])

    return for_each(location, chosen(location, said, PARSER), action)
