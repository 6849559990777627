"""The process that serves ports which the kernel cannot forward (`orlop.network.ports.proxy`), summoned by who comes first.

A container's monitor sends the engine's root and run directories, the container's id, and what holds the claims on its ports,
also when these change; the connection ends with the container.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from orlop import json_text
from orlop.engine import summon
from orlop.engine.location import Location
from orlop.engine.port_keeper import PROXY
from orlop.network.names.loop import READABLE, Loop
from orlop.network.ports.proxy import Proxy

if TYPE_CHECKING:
    import _socket

#: Seconds that it stays when nobody is left.
_REST = 0.5


def live(listener: _socket.socket, run_root: str) -> None:
    """The process's whole life."""
    loop = Loop()
    proxy = Proxy(loop)
    lines: dict[int, socket.socket] = {}
    door = socket.socket(fileno=os.dup(listener.fileno()))

    def accept(_events: int) -> None:
        try:
            line, _ = door.accept()
        except OSError:
            return  # it has gone again
        line.setblocking(False)
        descriptor = line.fileno()
        lines[descriptor] = line
        loop.rest = None
        loop.add(descriptor, READABLE, lambda _events: heed(descriptor))

    def heed(descriptor: int) -> None:
        try:
            message, passed = summon.receive(lines[descriptor])
        except BlockingIOError:
            return
        if passed:
            root, there, container_id = json_text.loads(message)
            location = Location(root, there, rootless=os.geteuid() != 0)
            proxy.serve(descriptor, location.networks, container_id, passed[0])
            for each in passed:
                os.close(each)
            return
        proxy.forget(descriptor)
        loop.remove(descriptor)
        lines.pop(descriptor).close()
        if not lines:
            loop.rest = _REST

    loop.rest = _REST
    loop.add(door.fileno(), READABLE, accept)
    loop.run()
    door.close()
    summon.leave(run_root, PROXY, listener)
