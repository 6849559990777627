"""``orlop-runtime state``."""

from __future__ import annotations

from orlop import json_text
from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime state", "ID", "Print the state of a container, as JSON", at_least=1, at_most=1, single_dash=True
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Print the OCI state."""
    invocation.write(json_text.pretty(invocation.container(said.arguments[0]).state_with_owner()) + "\n")
    return 0
