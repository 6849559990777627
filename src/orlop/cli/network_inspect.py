"""``orlop network inspect``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop network inspect",
    "NETWORK [NETWORK...]",
    "Display detailed information on one or more networks",
    (
        Option("-f, --format", "'json', or a template such as '{{.Id}}'", value="string"),
        Option("-v, --verbose", "Verbose output for diagnostics"),
    ),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import inspect
    from orlop.engine import networks, repair

    repair.everything(location)
    for line in networks.obstacles(location):
        sys.stderr.write(f"WARNING: {line}\n")
    return inspect.show(said["format"], said.arguments, [inspect.network_of(location)])
