"""``orlop-runtime pause``."""

from __future__ import annotations

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime pause",
    "ID",
    "Stop all processes of a container where they are",
    at_least=1,
    at_most=1,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Freeze."""
    from orlop.runtime import pause

    pause.pause(invocation.container(said.arguments[0]))
    return 0
