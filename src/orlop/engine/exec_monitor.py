"""Looking after one command that was executed in a running container, as `monitor` does after the container.

It holds the command's standard streams and serves the client that asked for it. Nothing of it is logged.
"""

from __future__ import annotations

import os

from orlop.engine import frames, starter
from orlop.engine.client_line import Line
from orlop.engine.clients import Clients
from orlop.engine.log_process import NoLog
from orlop.engine.pump import Pump
from orlop.linux import prctl
from orlop.runtime import exec as runtime
from orlop.runtime.container import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from orlop.linux.seccomp.cache import Cache


def run(request: dict[str, Any], client: _socket.socket, filters: Cache) -> None:
    """Run the command that ``request`` describes, until it has ended. Errors go to the client.

    The request is what `orlop.engine.execution.execute` makes. The caller has seen to
    `monitor.ignore_endings`.
    """
    prctl.set_name("orlop-exec")
    line = Line(client)
    try:
        pump, executed = _start(request, Clients(line), filters)
    except Exception as error:  # noqa: BLE001 - whatever it was, the client must hear of it
        line.send(frames.FAILED, starter.describe(error))
        line.finish()
        return
    line.send(frames.STARTED)
    pump.run(executed.pidfd)
    _, status = os.waitpid(executed.pid, 0)
    pump.drain()
    code = os.waitstatus_to_exitcode(status)
    line.send(frames.EXITED, (128 - code if code < 0 else code).to_bytes(1, "little"))
    line.finish()


def _start(request: dict[str, Any], clients: Clients, filters: Cache) -> tuple[Pump, runtime.Executed]:
    container = Container.load(f"{request['run_root']}/runtime", request["id"])
    ours: dict[str, int] = {}
    stdio = (0, 1, 2)
    if not request["terminal"]:
        stdio, ours = starter.pipes(open_stdin=request["open_stdin"])
    try:
        executed = runtime.start(runtime.ExecRequest(container, request["exec"], stdio=stdio, filters=filters))
    finally:
        if not request["terminal"]:
            for descriptor in stdio:
                os.close(descriptor)
    if request["terminal"]:
        ours = {"console": executed.console}
    return Pump(clients, NoLog(), ours, executed.pid), executed
