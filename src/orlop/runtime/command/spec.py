"""``orlop-runtime spec``."""

from __future__ import annotations

import os

from orlop import json_text
from orlop.errors import Conflict, NotFound
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime spec",
    "",
    "Write config.json, a configuration to start from: edit it to run something else than a shell",
    (
        Option("-b, --bundle", "Write it to this directory", value="dir", default="."),
        Option("-f, --file", "Write it to this file, below that directory", value="file", default="config.json"),
        Option("--rootless", "Write one that needs no privileges"),
    ),
    at_most=0,
    single_dash=True,
)


def execute(said: Parsed, invocation: Invocation) -> int:  # noqa: ARG001 - every command is called alike
    """Write the file, unless there is one."""
    from orlop.runtime.spec import default

    text = json_text.pretty(default.for_this_machine(rootless=said["rootless"]), indent=4)
    path = os.path.join(said["bundle"], said["file"])
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError:
        raise Conflict(f"{path} exists; remove it first") from None
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"no such directory: {os.path.dirname(path)}") from None
    return 0
