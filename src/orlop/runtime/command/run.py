"""``orlop-runtime run``."""

from __future__ import annotations

from orlop.options import Option, Parser
from orlop.runtime.command import bundle_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime run",
    "ID",
    "Create a container from a bundle, start it, and wait for its end",
    (
        *bundle_options.OPTIONS,
        Option("-d, --detach", "Return as soon as the container runs"),
        Option("--keep", "Do not delete the container after its end"),
    ),
    at_least=1,
    at_most=1,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Run, and return the process's exit status (0 when detached)."""
    request = bundle_options.request(said, invocation)

    from orlop.runtime import run

    return run.run(request, detach=said["detach"], keep=said["keep"], warn=invocation.log.warning)
