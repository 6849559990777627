"""``orlop system dial-stdio``: Docker's client has it run at the other end of ssh, and speaks to the engine through it."""

from __future__ import annotations

import os

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop system dial-stdio",
    "",
    "Connect standard input and output with what 'orlop serve' serves, for DOCKER_HOST=ssh://…",
    at_most=0,
)

_PIECE = 1 << 16


def run(location: Location, _said: Parsed) -> int:
    """Carry the command out."""
    import socket
    import threading

    from orlop.errors import Conflict

    place = f"{location.run_root}/docker.sock"
    server = socket.socket(socket.AF_UNIX)
    try:
        try:
            server.connect(place)
        except OSError as error:
            raise Conflict(f"nobody answers at {place} ({error.strerror}): start 'orlop serve' there") from None
        # A thread for what comes in: either end may be slow, and whoever waits for one must not hold up the other.
        threading.Thread(target=_pass_in, args=(server,), daemon=True).start()
        while data := server.recv(_PIECE):
            _write(1, data)
    finally:
        server.close()
    return 0


def _pass_in(server: socket.socket) -> None:
    import socket

    try:
        while data := os.read(0, _PIECE):
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the server has gone, which the other direction hears of too


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
