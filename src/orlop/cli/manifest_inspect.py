"""``orlop manifest inspect``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop manifest inspect",
    "NAME[:TAG]",
    "Display the manifest that a registry has of an image",
    (
        Option("--insecure", "As for Docker; which registries may be insecure is configured", hidden=True),
        Option("-v, --verbose", "Output additional info including layers and platform"),
    ),
    at_least=1,
    at_most=1,
)


def run(_location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import json_text
    from orlop.engine import registry_manifests

    (name,) = said.arguments
    if said["verbose"]:
        found = registry_manifests.described(name)
        shown = found[0] if len(found) == 1 else found
    else:
        shown = registry_manifests.raw(name)
    sys.stdout.write(json_text.pretty(shown, 3) + "\n")
    return 0
