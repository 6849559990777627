"""``orlop version``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop version",
    "",
    "Show the orlop version",
    (Option("-f, --format", "'json', or a template such as '{{.Version}}'", value="string"),),
    at_most=0,
)


def run(_location: Location, said: Parsed) -> int:
    """Carry the command out."""
    import os

    import orlop
    from orlop.cli import template

    system = os.uname()
    about = {
        "Version": orlop.__version__,
        "OciVersion": "1.2.0",
        "PythonVersion": ".".join(str(part) for part in sys.version_info[:3]),
        "Os": "linux",
        "Arch": system.machine,
        "KernelVersion": system.release,
    }
    shown = {**about, "Client": about, "Server": about}  # Docker's two are one here
    if said["format"]:
        sys.stdout.write(template.render(said["format"], shown) + "\n")
    else:
        sys.stdout.write("".join(f"{key + ':':<16}{value}\n" for key, value in about.items()))
    return 0
