"""What a monitor and its clients say to each other: a kind of one byte, then the body.

Over a SOCK_SEQPACKET socket, so that one packet is one frame and nothing has to be counted or joined.

From the client: `STDIN` (bytes), `STDIN_END`, `SIGNAL` (one byte), `SIZE` (rows and columns, two bytes each,
little endian). From the monitor: `CREATED` (a JSON object: the id, and warnings; only for a
request to create), `STARTED`, `STDOUT` and `STDERR` (bytes), `EXITED` (the exit code, one byte,
and nothing follows) or `FAILED` (a JSON object as `orlop.runtime.channel.describe` makes it, and nothing
follows). From a launcher that does not serve a request: `REFUSED` (the reason) or `OUTDATED`.
"""

from __future__ import annotations

STDIN = b"i"
STDIN_END = b"I"
SIGNAL = b"s"
SIZE = b"z"

CREATED = b"c"
STARTED = b"+"
STDOUT = b"o"
STDERR = b"e"
EXITED = b"x"
FAILED = b"!"
REFUSED = b"?"
OUTDATED = b"~"

#: The largest body. A packet has to fit the socket's send buffer, at least 160 KiB wherever it was not lowered.
LARGEST = 1 << 16


def size(rows: int, columns: int) -> bytes:
    """The body of `SIZE`."""
    return min(rows, 65535).to_bytes(2, "little") + min(columns, 65535).to_bytes(2, "little")


def read_size(body: bytes) -> tuple[int, int]:
    """Rows and columns from the body of `SIZE`."""
    return int.from_bytes(body[:2], "little"), int.from_bytes(body[2:4], "little")
