"""``orlop port``."""

from __future__ import annotations

import sys

from orlop.errors import InvalidArgument, NotFound, OrlopError
from orlop.options import Parser, natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop port",
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container",
    at_least=1,
    at_most=2,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    try:
        return _run(location, said)
    except OrlopError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1


def _run(location: Location, said: Parsed) -> int:
    from orlop.engine import container, ports

    target = container.find(location, said.arguments[0])
    published = ports.published(target)
    if len(said.arguments) == 2:
        wanted = _port(said.arguments[1])
        bindings = published.get(wanted)
        if not bindings:
            raise NotFound(f"no public port '{said.arguments[1]}' published for {said.arguments[0]}")
        sys.stdout.writelines(f"{each}\n" for each in bindings)
        return 0
    for port, bindings in sorted(published.items(), key=lambda item: ports.order(item[0])):
        sys.stdout.writelines(f"{port} -> {each}\n" for each in bindings)
    return 0


def _port(text: str) -> str:
    number, slash, protocol = text.partition("/")
    try:
        if natural(number) > 65535:
            raise ValueError
    except ValueError:
        raise InvalidArgument(f"invalid port '{text}': must be PORT or PORT/PROTOCOL") from None
    return f"{int(number)}/{protocol.lower() if slash else 'tcp'}"
