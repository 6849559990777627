"""``orlop top``."""

from __future__ import annotations

import sys

from orlop.errors import OrlopError, told
from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop top",
    "CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    at_least=1,
    intermixed=False,
)

#: What Docker's client gives to Go's text/tabwriter.
_NARROWEST = 20
_PADDING = 3


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    try:
        return _run(location, said)
    except OrlopError as error:
        sys.stderr.write(f"Error: {told(error)}\n")
        return 1


def _run(location: Location, said: Parsed) -> int:
    from orlop.cli import listing
    from orlop.engine import container, top

    name, *options = said.arguments
    found = top.processes(container.find(location, name), options)
    lines = [found.titles, *found.processes]
    sys.stdout.write(listing.aligned(lines, narrowest=_NARROWEST, padding=_PADDING))
    return 0
