"""``orlop volume exists``, which is podman's."""

from __future__ import annotations

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop volume exists", "VOLUME", "Say by the exit status whether there is such a volume", at_least=1, at_most=1
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import inspect

    return inspect.exists(said.arguments[0], inspect.volume_of(location))
