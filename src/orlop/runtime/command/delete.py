"""``orlop-runtime delete``."""

from __future__ import annotations

from orlop.errors import NotFound
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime delete",
    "ID",
    "Delete a container that has ended, and what it holds",
    (
        Option("-f, --force", "Kill it first if it still runs, and be content if there is none"),
        Option("-r, --regex", "Delete all whose ids match ID, a regular expression"),
    ),
    at_least=1,
    at_most=1,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Delete."""
    from orlop.runtime import delete

    if said["regex"]:
        return invocation.for_each(
            said.arguments[0], lambda each: delete.delete(each, force=said["force"], warn=invocation.log.warning)
        )
    try:
        delete.delete(invocation.container(said.arguments[0]), force=said["force"], warn=invocation.log.warning)
    except NotFound:
        if not said["force"]:
            raise
    return 0
