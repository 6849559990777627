"""``orlop-runtime events``."""

from __future__ import annotations

from orlop import json_text
from orlop.errors import InvalidArgument
from orlop.options import Option, Parser, duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

_SECOND = 1_000_000_000

PARSER = Parser(
    "orlop-runtime events",
    "ID",
    "Print a container's statistics and out-of-memory events, a JSON object per line, until it ends",
    (
        Option("--interval", "Time between statistics (default 5s)", value="time", read=duration),
        Option("--stats", "Print the statistics once and return"),
    ),
    at_least=1,
    at_most=1,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Print events as they come."""
    from orlop.runtime import events

    interval = said["interval"] if said.given("interval") else 5 * _SECOND
    if interval <= 0:
        raise InvalidArgument("duration interval must be greater than 0")
    container = invocation.container(said.arguments[0])
    if said["stats"]:
        invocation.write(json_text.dumps(events.statistics(container)) + "\n")
        return 0
    for event in events.stream(container, interval / _SECOND):
        invocation.write(json_text.dumps(event) + "\n")
    return 0
