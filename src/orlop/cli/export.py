"""``orlop export``."""

from __future__ import annotations

import os
import sys

from orlop.errors import InvalidArgument
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop export",
    "CONTAINER",
    "Export a container's filesystem as a tar archive",
    (Option("-o, --output", "Write to a file, instead of STDOUT", value="string", default=""),),
    at_least=1,
    at_most=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, export

    target = container.find(location, said.arguments[0])
    if said["output"]:
        from orlop.engine import output_file

        with output_file.written(said["output"]) as descriptor:
            export.export(target, descriptor)
        return 0
    if os.isatty(1):
        raise InvalidArgument("cowardly refusing to save to a terminal: use the -o flag or redirect")
    sys.stdout.flush()
    export.export(target, 1)
    return 0
