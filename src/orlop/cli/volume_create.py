"""``orlop volume create``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop volume create",
    "[VOLUME]",
    "Create a volume",
    (
        Option("-d, --driver", "Specify volume driver name", value="string", default="local"),
        Option("--label", "Set metadata for a volume", value="list", many=True),
        Option("-o, --opt", "Set driver specific options: type, o, device, as for mount(8)", value="map", many=True),
        Option("--name", "Specify volume name", value="string", hidden=True),
    ),
    at_most=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import volume_store

    name = said.arguments[0] if said.arguments else said["name"] or ""
    labels = dict(_pair(text) for text in said["label"])
    options = dict(_pair(text) for text in said["opt"])
    made = volume_store.create(location, name, driver=said["driver"], labels=labels, options=options)
    sys.stdout.write(f"{made['Name']}\n")
    return 0


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value
