"""``orlop network disconnect``."""

from __future__ import annotations

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop network disconnect",
    "NETWORK CONTAINER",
    "Disconnect a container from a network",
    (Option("-f, --force", "Force the container to disconnect from a network"),),
    at_least=2,
    at_most=2,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import networks

    networks.disconnect(location, said.arguments[0], said.arguments[1], force=said["force"])
    return 0
