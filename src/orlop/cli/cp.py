"""``orlop cp``."""

from __future__ import annotations

import os
import sys

from orlop.errors import InvalidArgument, OrlopError, told
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.extraction import Extracted
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop cp",
    "CONTAINER:SRC_PATH DEST_PATH|-  |  SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files/folders between a container and the local filesystem.\n\n"
    "Use '-' as the source to read a tar archive from stdin and extract it to a directory\n"
    "in a container, or as the destination to write a tar archive of a container's path to\n"
    "stdout.",
    (
        Option("-a, --archive", "Archive mode (copy all uid/gid information)"),
        Option("-L, --follow-link", "Always follow symbol link in SRC_PATH"),
        Option("-q, --quiet", "Suppress progress output during copy"),
    ),
    at_least=2,
    at_most=2,
)

_STREAM = "-"


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    try:
        return _run(location, said)
    except OrlopError as error:
        sys.stderr.write(f"Error: {told(error)}\n")
        return 1


def _run(location: Location, said: Parsed) -> int:
    from orlop.engine import container, local_copy

    source, destination = said.arguments
    from_name, from_path = _split(source)
    to_name, to_path = _split(destination)
    follows = said["follow-link"]
    if from_name and to_name:
        raise InvalidArgument("copying between containers is not supported")
    if from_name:
        target = container.find(location, from_name)
        if to_path == _STREAM:
            if os.isatty(1):
                raise InvalidArgument("cowardly refusing to write an archive to a terminal: redirect it")
            sys.stdout.flush()
            local_copy.stream_from_container(target, from_path, 1, follows=follows)
            return 0
        done = local_copy.from_container(target, from_path, to_path, follows=follows, keeps_owners=said["archive"])
    elif to_name:
        target = container.find(location, to_name)
        if from_path == _STREAM:
            done = local_copy.stream_to_container(target, 0, to_path)
        else:
            done = local_copy.to_container(target, from_path, to_path, follows=follows)
    else:
        raise InvalidArgument("must specify at least one container source")
    _tell(done, destination, quiet=said["quiet"])
    return 0


def _split(word: str) -> tuple[str, str]:
    """A container and a path in it, or no container and a local path, which may begin with ``./`` or ``/``."""
    name, colon, path = word.partition(":")
    if not colon or word.startswith("/") or name.startswith(".") or not name:
        return "", word
    return name, path


def _tell(done: Extracted, destination: str, *, quiet: bool) -> None:
    for warning in done.warnings:
        sys.stderr.write(f"WARNING: {warning}\n")
    if not quiet and sys.stderr.isatty():
        from orlop import units

        sys.stderr.write(f"Successfully copied {units.human_size(done.size, 3)} to {destination}\n")
