"""``orlop-runtime features``."""

from __future__ import annotations

from orlop import json_text
from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime features",
    "",
    "Print what this runtime can do on this kernel, as JSON",
    at_most=0,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:  # noqa: ARG001 - every command is called alike
    """Print the features document."""
    from orlop.runtime import features

    invocation.write(json_text.pretty(features.document(), indent=4) + "\n")
    return 0
