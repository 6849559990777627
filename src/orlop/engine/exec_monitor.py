"""Looking after one command that was executed in a running container, as `monitor` does after the container.

It holds the command's standard streams and serves the client that asked for it. Nothing of it is logged.
"""

from __future__ import annotations

import os

from orlop.engine import birth, control_socket, events, exec_record, frames, starter
from orlop.engine.client_line import Line
from orlop.engine.clients import Clients
from orlop.engine.location import Location
from orlop.engine.log_process import NoLog
from orlop.engine.pump import Pump
from orlop.errors import OrlopError
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

    The request is what `orlop.engine.execution` makes. The caller has seen to `monitor.ignore_endings`.
    """
    prctl.set_name("orlop-exec")
    location = Location(request["root"], request["run_root"], rootless=request["rootless"])
    record = request["record"]
    line = Line(client)
    listener = -1
    try:
        listener = control_socket.listen(location, record["ID"])
        clients = Clients(line, listener)
        pump, executed = _start(request, clients, filters)
    except Exception as error:  # noqa: BLE001 - whatever it was, the client must hear of it
        record["ExitCode"] = error.exit_code if isinstance(error, OrlopError) and error.exit_code > 2 else 126
        _note(location, record)
        if listener >= 0:
            control_socket.remove(location, record["ID"])
        line.send(frames.FAILED, starter.describe(error))
        line.finish()
        return
    record.update(Running=True, Pid=executed.pid)
    _note(location, record)
    _tell(location, request, f"exec_start: {' '.join(request['exec']['args'])}", {})
    line.send(frames.STARTED)
    pump.run(executed.pidfd)
    _, status = os.waitpid(executed.pid, 0)
    pump.drain()
    code = os.waitstatus_to_exitcode(status)
    code = 128 - code if code < 0 else code
    record.update(Running=False, ExitCode=code, Pid=0)
    _note(location, record)
    _tell(location, request, "exec_die", {"exitCode": str(code)})
    clients.tell(frames.EXITED, bytes((code,)))
    control_socket.remove(location, record["ID"])
    exec_record.sweep(location, record["ContainerID"])
    clients.finish(frames.EXITED + bytes((code,)))


def _note(location: Location, record: dict[str, Any]) -> None:
    """Write down what became of the command, if there is still a container that it could be of."""
    try:
        if os.path.isdir(f"{location.containers}/{record['ContainerID']}"):
            exec_record.write(location, record)
    except OSError:
        return  # a full disk: the client hears of it all the same


def _tell(location: Location, request: dict[str, Any], action: str, more: dict[str, str]) -> None:
    about = {**request["attributes"], "execID": request["record"]["ID"], **more}
    events.emit(location, events.CONTAINER, action, request["id"], about)


def _start(request: dict[str, Any], clients: Clients, filters: Cache) -> tuple[Pump, runtime.Executed]:
    container = Container.load(f"{request['run_root']}/runtime", request["id"])
    ours: dict[str, int] = {}
    stdio = (0, 1, 2)
    has_terminal = request["exec"]["terminal"]
    if not has_terminal:
        stdio, ours = birth.pipes(open_stdin=request["record"]["OpenStdin"])
    try:
        executed = runtime.start(runtime.ExecRequest(container, request["exec"], stdio=stdio, filters=filters))
    finally:
        if not has_terminal:
            for descriptor in stdio:
                os.close(descriptor)
    if has_terminal:
        ours = {"console": executed.console}
    return Pump(clients, NoLog(), ours, executed.pid), executed
