"""``orlop-runtime start``."""

from __future__ import annotations

import os

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime start",
    "ID",
    "Start the process of a created container",
    at_least=1,
    at_most=1,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Let the waiting process go."""
    from orlop.runtime.start import start

    start(invocation.container(said.arguments[0]), notify_socket=os.environ.get("NOTIFY_SOCKET", ""))
    return 0
