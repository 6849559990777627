"""``orlop logout``."""

from __future__ import annotations

import sys

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser("orlop logout", "[SERVER]", "Log out from a registry (default: docker.io)", at_most=1)


def run(_location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli.login import domain
    from orlop.images.registry import login

    server = domain(said.arguments[0] if said.arguments else "docker.io")
    if login.logout(server):
        sys.stdout.write(f"Removing login credentials for {server}\n")
    else:
        sys.stdout.write(f"Not logged in to {server}\n")
    return 0
