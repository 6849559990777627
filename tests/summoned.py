"""A process that is summoned: it puts its pid and a number into each pipe that it is sent, for each byte that it reads."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

from orlop.engine import summon

if TYPE_CHECKING:
    import socket


def live(listener: socket.socket, run_root: str) -> None:
    """Serve until the last connection has ended."""
    import socket as sockets

    lines: dict[int, sockets.socket] = {}
    work: dict[int, tuple[int, int]] = {}  # where work comes: whose it is, and where the answer goes
    answered = 0
    while True:
        poll = select.poll()
        for descriptor in (listener.fileno(), *lines, *work):
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                line, _ = sockets.socket(fileno=os.dup(listener.fileno())).accept()
                line.setblocking(True)
                lines[line.fileno()] = line
            elif descriptor in lines:
                message, passed = summon.receive(lines[descriptor])
                if message:
                    work[passed[0]] = (descriptor, passed[1])
                    continue
                lines.pop(descriptor).close()
                work = {source: about for source, about in work.items() if about[0] != descriptor}
            elif descriptor in work and os.read(descriptor, 1):
                answered += 1
                os.write(work[descriptor][1], f"{os.getpid()} {answered}\n".encode())
        if not lines:
            summon.leave(run_root, "test", listener)
            return


def die(listener: socket.socket, run_root: str) -> None:
    """End before anything is done."""
