"""``orlop-runtime resume``."""

from __future__ import annotations

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime resume",
    "ID",
    "Let the processes of a paused container go on",
    at_least=1,
    at_most=1,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Thaw."""
    from orlop.runtime import pause

    pause.resume(invocation.container(said.arguments[0]))
    return 0
