"""``orlop-runtime list``."""

from __future__ import annotations

from orlop import json_text
from orlop.options import Option, Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime list",
    "",
    "List the containers below the state root",
    (
        Option("-f, --format", "table or json", value="form", read=one_of("table", "json"), default="table"),
        Option("-q, --quiet", "Print only the ids"),
    ),
    at_most=0,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Print a table, JSON, or ids."""
    from orlop.runtime import list as listing

    states = listing.states(invocation.root, invocation.log.warning)
    if said["quiet"]:
        invocation.write("".join(f"{state['id']}\n" for state in states))
    elif said["format"] == "json":
        invocation.write(json_text.dumps(states) + "\n")
    else:
        invocation.write(listing.table(states))
    return 0
