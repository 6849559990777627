"""One container's monitor: the parent of its init, from the first clone to the last cleaning.

It holds the container's standard streams, writes the log, serves the client that started the container,
records how it ended, and clears away after it. It depends on nothing else to stay alive, and it is small:
forked from a launcher that has everything loaded, it keeps its hands off what it shares with it.
"""

from __future__ import annotations

import _signal
import os

from orlop import json_text
from orlop.engine import clock, container, frames, monitor_lock, oom, removal
from orlop.engine.client_line import Line
from orlop.engine.location import Location
from orlop.engine.log_file import LogFile
from orlop.engine.pump import Pump
from orlop.errors import Conflict, NotFound, OrlopError, StepFailed
from orlop.linux import prctl, terminal
from orlop.runtime import channel
from orlop.runtime import create as runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from orlop.linux.seccomp.cache import Cache


def run(request: dict[str, Any], client: _socket.socket, filters: Cache) -> None:
    """Be the monitor of the container that ``request`` describes, until it has ended. Errors go to the client.

    The request is what `orlop.engine.start.request` makes.
    """
    prctl.set_name("orlop-monitor")
    ignore_endings()
    location = Location(request["root"], request["run_root"], rootless=request["rootless"])
    line = Line(client)
    lock = monitor_lock.take(location, request["id"])
    if lock is None:
        line.send(frames.FAILED, describe(Conflict(f"container {request['name']} is already running")))
        line.finish()
        return
    try:
        _Monitor(location, request, line, filters).run()
    finally:
        monitor_lock.drop(location, request["id"], lock)


def ignore_endings() -> None:
    """Not end when a session ends or somebody is logged out: that is not meant to end containers.

    A handler, not SIG_IGN, which the container's program would inherit.
    """
    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT):
        _signal.signal(number, _stay)


def _stay(_number: int, _frame: object) -> None:
    pass


def describe(error: BaseException) -> bytes:
    """The body of a `frames.FAILED`."""
    body = channel.describe(error)
    body["exit_code"] = error.exit_code if isinstance(error, OrlopError) and error.exit_code > 1 else 125
    return json_text.dumps(body).encode()


def pipes(*, open_stdin: bool) -> tuple[tuple[int, int, int], dict[str, int]]:
    """A program's standard streams, and our ends of them by name."""
    ours: dict[str, int] = {}
    if open_stdin:
        stdin, ours["stdin"] = os.pipe2(os.O_CLOEXEC)
    else:
        stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    ours["stdout"], stdout = os.pipe2(os.O_CLOEXEC)
    ours["stderr"], stderr = os.pipe2(os.O_CLOEXEC)
    return (stdin, stdout, stderr), ours


class _Monitor:
    __slots__ = ("_container", "_filters", "_line", "_location", "_request", "_state")

    def __init__(self, location: Location, request: dict[str, Any], line: Line, filters: Cache) -> None:
        self._filters = filters
        self._location = location
        self._request = request
        self._line = line
        self._container = container.Container(location, request["id"])
        self._state: dict[str, Any] = container.new_state()

    def run(self) -> None:
        if not os.path.isdir(self._container.directory):
            self._line.send(frames.FAILED, describe(NotFound(f"no such container: {self._container.id[:12]}")))
            self._line.finish()
            return
        try:
            pump, created = self._start()
        except Exception as error:  # noqa: BLE001 - whatever it was, the client must hear of it
            self._fail(error)
            return
        self._line.send(frames.STARTED)
        pump.run(created.pidfd)
        _, status = os.waitpid(created.pid, 0)
        pump.drain()
        self._ended(os.waitstatus_to_exitcode(status))

    def _start(self) -> tuple[Pump, runtime.Created]:
        log = LogFile(self._container.log, self._request["log_options"])
        ours: dict[str, int] = {}
        stdio = (0, 1, 2)
        if not self._request["terminal"]:
            stdio, ours = pipes(open_stdin=self._request["open_stdin"])
        try:
            created = runtime.create(
                runtime.Request(
                    root=self._location.runtime,
                    id=self._container.id,
                    bundle=self._container.directory,
                    stdio=stdio,
                    rootless=self._location.rootless,
                    filters=self._filters,
                )
            )
        finally:
            if not self._request["terminal"]:
                for descriptor in stdio:
                    os.close(descriptor)
        if self._request["terminal"]:
            ours = {"console": created.console}
            if self._request["console_size"]:
                rows, columns = self._request["console_size"]
                terminal.set_size(created.console, rows, columns)
        self._state.update(Status="running", Running=True, Pid=created.pid, StartedAt=clock.now())
        self._container.write_state(self._state)
        pump = Pump(self._line, log, ours, created.pid)
        try:
            created.release()
        except BaseException:
            if created.container.alive():
                created.container.signal(_signal.SIGKILL)
            os.waitpid(created.pid, 0)
            pump.drain()
            raise
        return pump, created

    def _ended(self, code: int) -> None:
        """Record the end, tell the client, then do what nobody needs to wait for."""
        code = 128 - code if code < 0 else code
        if code == 137:
            self._state["OOMKilled"] = oom.happened(self._location.runtime, self._container.id)
        self._state.update(Status="exited", Running=False, Pid=0, ExitCode=code, FinishedAt=clock.now())
        self._record_end()
        self._line.send(frames.EXITED, code.to_bytes(1, "little"))
        self._clean_up()

    def _fail(self, error: Exception) -> None:
        code = error.exit_code if isinstance(error, OrlopError) and error.exit_code > 2 else 128
        message = str(error) or type(error).__name__
        self._state.update(Status="created", Running=False, Pid=0, ExitCode=code, Error=message)
        self._record_end()
        self._line.send(frames.FAILED, describe(error))
        self._clean_up()

    def _record_end(self) -> None:
        if self._request["auto_remove"]:
            removal.vanish(self._location, self._container.id, self._request["name"])
            return
        try:
            self._container.write_state(self._state)
        except OSError:
            # A full disk, say. The next command finds a container without a monitor and records what it can.
            return

    def _clean_up(self) -> None:
        self._line.finish()
        try:
            removal.release_runtime(self._location, self._container.id)
            if self._request["auto_remove"]:
                removal.destroy(self._location, self._container.id)
        except (OSError, OrlopError, StepFailed):
            return  # the next command that opens the engine tries again, and tells if it cannot either
