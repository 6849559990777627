"""``orlop port``, ``orlop port add`` and ``orlop port rm``."""

from __future__ import annotations

import sys

from orlop.errors import NotFound, OrlopError, told
from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.options import Parsed

ADD = "add"
REMOVE = "rm"

PARSER = Parser(
    "orlop port",
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container",
    at_least=1,
    sections=(
        (
            "Changing them, also while the container runs",
            (
                (f"{ADD} CONTAINER SPEC...", "Publish more ports; SPEC is what -p takes, such as 8080:80"),
                (f"{REMOVE} CONTAINER SPEC...", "Publish ports no more; 80/tcp means wherever that is published"),
            ),
        ),
    ),
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    try:
        return _run(location, said.arguments)
    except OrlopError as error:
        sys.stderr.write(f"Error: {told(error)}\n")
        return 1


def _run(location: Location, words: list[str]) -> int:
    from orlop.engine import container

    # One or two words are Docker's grammar, whatever the container is called.
    if len(words) > 2:
        if words[0] not in (ADD, REMOVE):
            raise PARSER.mistake(f"'orlop port' takes at most 2 arguments, {len(words)} given")
        return _change(container.find(location, words[1]), words[0], words[2:])
    target = container.find(location, words[0])
    return _show_one(target, *words) if len(words) == 2 else _show(target)


def _change(target: Container, action: str, texts: Sequence[str]) -> int:
    from orlop.engine import port_changes
    from orlop.network.ports import specification

    if action == REMOVE:
        port_changes.unpublish(target, texts)
        return 0
    for each in port_changes.publish(target, specification.bindings(texts)):
        sys.stdout.writelines(f"{line}\n" for line in each.lines())
    return 0


def _show(target: Container) -> int:
    from orlop.engine import ports

    for port, addresses in ports.published(target).items():
        sys.stdout.writelines(f"{port} -> {each}\n" for each in addresses)
    return 0


def _show_one(target: Container, name: str, port: str) -> int:
    from orlop.engine import ports
    from orlop.network.ports import specification

    wanted = specification.container_port(port)
    addresses = ports.published(target).get(wanted)
    if not addresses:
        raise NotFound(f"no public port '{port}' published for {name}")
    sys.stdout.writelines(f"{each}\n" for each in addresses)
    return 0
