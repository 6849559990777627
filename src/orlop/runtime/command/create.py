"""``orlop-runtime create``."""

from __future__ import annotations

from orlop.options import Parser
from orlop.runtime.command import bundle_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime create",
    "ID",
    "Create a container from a bundle; its process waits for 'orlop-runtime start'",
    bundle_options.OPTIONS,
    at_least=1,
    at_most=1,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Create, and leave the container waiting."""
    request = bundle_options.request(said, invocation)

    from orlop.runtime import create

    for warning in create.create(request, separate_start=True).warnings:
        invocation.log.warning(warning)
    return 0
