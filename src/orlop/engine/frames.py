"""What a monitor and its clients say to each other: a kind of one byte, then the body.

Over a SOCK_SEQPACKET socket, so that one packet is one frame and nothing has to be counted or joined.

From the client: `STDIN` (bytes), `STDIN_END`, `SIGNAL` (one byte), `SIZE` (rows and columns, two bytes each,
little endian). From the monitor: `CREATED` (a JSON object: the id, and warnings; only for a
request to create), `STARTED`, `STDOUT` and `STDERR` (bytes), `SKIPPED` (how many bytes of output were left out, eight
bytes, little endian), `USAGE` (a JSON object, `orlop.engine.usage`; where that was asked for), `EXITED` (the exit
code, one byte; where the container is not started again, nothing follows) or
`FAILED` (a JSON object as `orlop.runtime.channel.describe` makes it, and nothing follows). From a launcher that does not
serve a request: `REFUSED` (the reason) or `OUTDATED`.

Who starts a container is attached to it from the beginning, to all of its streams, and no output is left out. Others come
to the control socket of its monitor (see `control`). They hear of its end, and get output after `ATTACH` (one byte:
`TO_STDOUT`, `TO_STDERR`, `TO_STDIN`). `HALT` says that a user wants it to stop, so that it is not started again,
`POLICY` what is to be done when it ends (a JSON object, Docker's ``RestartPolicy``); both come back as they were
when they are in force. `PORTS` is answered with the descriptors that hold the claims on the container's ports, if there
are any; one that comes with such descriptors has these be held in their place (`orlop.engine.port_keeper`). `NAMES` asks
whether the container has sockets to ask for names at, or brings them (`orlop.engine.name_keeper`).
"""

from __future__ import annotations

STDIN = b"i"
STDIN_END = b"I"
SIGNAL = b"s"
SIZE = b"z"
ATTACH = b"a"
HALT = b"h"
POLICY = b"p"
PORTS = b"P"
NAMES = b"n"

CREATED = b"c"
STARTED = b"+"
STDOUT = b"o"
STDERR = b"e"
SKIPPED = b"-"
USAGE = b"u"
EXITED = b"x"
FAILED = b"!"
REFUSED = b"?"
OUTDATED = b"~"

#: What `ATTACH` asks for.
TO_STDOUT = 1
TO_STDERR = 2
TO_STDIN = 4

#: The largest body. A packet has to fit the socket's send buffer, at least 160 KiB wherever it was not lowered.
LARGEST = 1 << 16


def size(rows: int, columns: int) -> bytes:
    """The body of `SIZE`."""
    return min(rows, 65535).to_bytes(2, "little") + min(columns, 65535).to_bytes(2, "little")


def read_size(body: bytes) -> tuple[int, int]:
    """Rows and columns from the body of `SIZE`."""
    return int.from_bytes(body[:2], "little"), int.from_bytes(body[2:4], "little")
