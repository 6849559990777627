"""``orlop create``."""

from __future__ import annotations

import sys

from orlop.cli import run as run_command
from orlop.cli import settings_options
from orlop.engine.settings import HOST_IMAGE
from orlop.errors import ImageNotFound, OrlopError, told
from orlop.options import Option, Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.engine.settings import Settings
    from orlop.options import Parsed

PARSER = Parser(
    "orlop create",
    "IMAGE [COMMAND] [ARG...]  |  --rootfs DIR COMMAND [ARG...]",
    "Create a new container without starting it",
    (
        Option("--rm", "Automatically remove the container when it exits"),
        Option(
            "--pull",
            "Pull image before creating",
            value="policy",
            read=one_of("always", "missing", "never"),
            default="missing",
        ),
        Option("-q, --quiet", "Suppress the pull output"),
        *settings_options.OPTIONS,
    ),
    at_least=1,
    intermixed=False,
    further=settings_options.further,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    try:
        return _run(location, said)
    except OrlopError as error:
        sys.stderr.write(f"orlop: {told(error)}\n")
        return 1 if error.exit_code in (126, 127) else error.exit_code


def _run(location: Location, said: Parsed) -> int:
    from orlop.engine import create

    location.prepare()
    settings = _settings(said)
    run_command.check(settings, said)
    run_command.replace(location, settings, said)
    if said["pull"] == "always" and settings.image not in ("", HOST_IMAGE):
        run_command.pull(location, settings, said)
    try:
        made = create.create(location, settings)
    except ImageNotFound:
        if said["pull"] != "missing":
            raise
        run_command.pull(location, settings, said, is_missing=True)
        made = create.create(location, _settings(said))
    made.leave()
    run_command.tell(said, made.container.id, made.warnings)
    sys.stdout.write(made.container.id + "\n")
    return 0


def _settings(said: Parsed) -> Settings:
    settings = settings_options.read(said)
    settings.auto_remove = said["rm"]
    settings.stdin_once = settings.open_stdin
    return settings
