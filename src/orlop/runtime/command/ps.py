"""``orlop-runtime ps``."""

from __future__ import annotations

from orlop import json_text
from orlop.options import Option, Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime ps",
    "ID [PS OPTIONS...]",
    "List the processes of a container; options after the id are ps's own (default -ef)",
    (Option("-f, --format", "table or json", value="form", read=one_of("table", "json"), default="table"),),
    at_least=1,
    intermixed=False,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Print what ``ps`` says of them, or their ids as JSON."""
    from orlop.runtime import ps

    container = invocation.container(said.arguments[0])
    if said["format"] == "json":
        invocation.write(json_text.dumps(ps.pids(container)) + "\n")
    else:
        invocation.write(ps.table(container, said.arguments[1:]))
    return 0
