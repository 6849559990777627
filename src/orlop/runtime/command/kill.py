"""``orlop-runtime kill``."""

from __future__ import annotations

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime kill",
    "ID [SIGNAL]",
    "Send a signal, by name or number, to a container's init process (default TERM)",
    (
        Option("-a, --all", "Send it to all processes of the container, also after its init ended"),
        Option("-r, --regex", "Send it to all containers whose ids match ID, a regular expression"),
    ),
    at_least=1,
    at_most=2,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Send the signal."""
    from orlop.runtime import kill

    signal = kill.signal_number(said.arguments[1] if len(said.arguments) > 1 else "TERM")
    if said["regex"]:
        return invocation.for_each(said.arguments[0], lambda each: kill.kill(each, signal, everyone=said["all"]))
    kill.kill(invocation.container(said.arguments[0]), signal, everyone=said["all"])
    return 0
