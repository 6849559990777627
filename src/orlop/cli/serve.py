"""``orlop serve``: Docker's Engine API on this engine."""

from __future__ import annotations

import os

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop serve",
    "",
    "Serve Docker's Engine API, for the docker command and every other client of it",
    (
        Option(
            "-H, --host",
            "Listen here: unix:///path (default: docker.sock in the engine's run directory)",
            value="list",
            many=True,
        ),
        Option("--docker-socket", "Listen on /var/run/docker.sock, where clients look first"),
        Option("-G, --group", "Group whose members may use the sockets", value="string", default="docker"),
    ),
    at_most=0,
)

_DOCKER_SOCKET = "/var/run/docker.sock"
_UNIX = "unix://"


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.api import server
    from orlop.errors import InvalidArgument

    location.prepare()
    places = []
    for text in said["host"]:
        if not text.startswith(_UNIX + "/"):
            raise InvalidArgument(f"cannot listen on {text}: only {_UNIX}/path is served")
        places.append(text.removeprefix(_UNIX))
    if said["docker-socket"]:
        places.append(_DOCKER_SOCKET)
    places = places or [f"{location.run_root}/docker.sock"]
    group = _group(said["group"], asked=said.given("group"))
    listeners: list[socket.socket] = []
    try:
        listeners.extend(server.listen(place, group=group) for place in places)
        server.Server(location).run(listeners)
    finally:
        for place in places[: len(listeners)]:
            try:
                os.unlink(place)
            except FileNotFoundError:
                continue
    return 0


def _group(name: str, *, asked: bool) -> int:
    """A group's number; -1, which is nobody's, if there is none of that name and nobody asked for it."""
    import grp

    from orlop.errors import InvalidArgument

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        if asked:
            raise InvalidArgument(f"there is no group {name}: make it, or give another one with --group") from None
        return -1
