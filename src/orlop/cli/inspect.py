"""``orlop inspect``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop inspect",
    "NAME|ID [NAME|ID...]",
    "Return low-level information on containers",
    (Option("-f, --format", "'json', or a template such as '{{.State.Status}}'", value="string"),),
    at_least=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import json_text
    from orlop.cli import template
    from orlop.engine import container, inspection, repair
    from orlop.errors import NotFound

    repair.everything(location)
    found: list[dict[str, Any]] = []
    status = 0
    for name in said.arguments:
        try:
            found.append(inspection.describe(container.find(location, name)))
        except NotFound as error:
            sys.stderr.write(f"Error: {error}\n")
            status = 1
    if said["format"]:
        for each in found:
            sys.stdout.write(template.render(said["format"], each) + "\n")
    else:
        sys.stdout.write(json_text.pretty(found, 4) + "\n")
    return status
