"""``orlop export``."""

from __future__ import annotations

import os
import sys

from orlop.errors import InvalidArgument
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop export",
    "CONTAINER",
    "Export a container's filesystem as a tar archive",
    (Option("-o, --output", "Write to a file, instead of STDOUT", value="string", default=""),),
    at_least=1,
    at_most=1,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, export

    target = container.find(location, said.arguments[0])
    if said["output"]:
        _to_file(target, said["output"])
        return 0
    if os.isatty(1):
        raise InvalidArgument("cowardly refusing to save to a terminal: use the -o flag or redirect")
    sys.stdout.flush()
    export.export(target, 1)
    return 0


def _to_file(target: Container, path: str) -> None:
    """Write a file that is there only once it is whole."""
    from orlop.engine import export

    if os.path.isdir(path):
        raise InvalidArgument(f"cannot write to {path}: it is a directory")
    aside = f"{path}.{os.urandom(6).hex()}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        export.export(target, descriptor)
        os.rename(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
    finally:
        os.close(descriptor)
