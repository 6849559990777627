"""Starting a container on its monitor's behalf, in a process of its own that then ends (see `birth`).

Even the request is read there. The container's init, orphaned, falls to the monitor, which is its children's reaper (PR_SET_CHILD_SUBREAPER, prctl(2)).
"""

from __future__ import annotations

import _signal
import os

from orlop import clock, json_text
from orlop.engine import (
    birth,
    container,
    control_socket,
    create,
    events,
    frames,
    log_file,
    monitor_lock,
    network_mode,
    removal,
    start,
)
from orlop.engine.client_line import Line
from orlop.engine.location import Location
from orlop.engine.settings import Settings
from orlop.errors import Conflict, NotFound, OrlopError
from orlop.linux import prctl, terminal
from orlop.runtime import channel
from orlop.runtime import create as runtime
from orlop.runtime.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any

    from orlop.engine.networking import Connection
    from orlop.engine.publishing import Publication
    from orlop.engine.runtimes import Elsewhere
    from orlop.engine.user_network import UserConnection
    from orlop.linux.seccomp.cache import Cache


def serve(receive: Callable[[], birth.Call], monitor: _socket.socket, filters: Cache) -> int:
    """The child's whole life; returns its exit status."""
    prctl.set_parent_death_signal(_signal.SIGKILL)
    prctl.set_name("orlop-starter")
    try:
        call = receive()
    except birth.NoCall as reason:
        return reason.status
    if "exec" in call.request:
        from orlop.engine import exec_monitor

        exec_monitor.run(call.request, call.client, filters)
        return birth.STARTED
    return _Start(call, monitor).run(filters)


class _Start:
    """The start of one container, on the child's side."""

    __slots__ = (
        "_call",
        "_connection",
        "_container",
        "_ends",
        "_is_again",
        "_line",
        "_location",
        "_monitor",
        "_request",
        "_state",
    )

    def __init__(self, call: birth.Call, monitor: _socket.socket) -> None:
        request = call.request
        self._call = call
        self._request = request
        self._location = Location(request["root"], request["run_root"], rootless=request["rootless"])
        self._line = Line(call.client)
        self._monitor = monitor
        self._container = container.Container(self._location, request.get("id", ""))
        self._state = container.new_state()
        self._connection: Connection | None = None
        #: Whether its monitor starts it again, and holds everything that outlives the container's program.
        self._is_again = "again" in request
        if "restart_count" in request:
            self._state["RestartCount"] = request["restart_count"]
        self._ends = {} if self._is_again else {"client": call.client.fileno()}

    def run(self, filters: Cache) -> int:
        """Start the container, or tell the client why it could not be; returns `STARTED` or `FAILED`."""
        try:
            if "create" in self._request:
                self._create()
            if self._is_again:
                removal.release_runtime(self._location, self._container.id)
            else:
                self._become_monitor()
            self._start(filters)
            if "volumes" in self._request:
                events.of_volumes(self._location, "mount", self._container.id, self._request["volumes"])
            self._tell("start")
        except Exception as error:  # noqa: BLE001 - whatever it was, the client must hear of it
            self._fail(error)
            return birth.FAILED
        self._line.send(frames.STARTED)
        self._line.finish()
        return birth.STARTED

    def _become_monitor(self) -> None:
        """Take what belongs to a container's monitor, for it."""
        lock = monitor_lock.take(self._location, self._container.id)
        if lock is None:
            raise Conflict(f"container {self._request['name']} is already running")
        self._ends["lock"] = lock
        self._ends["control"] = control_socket.listen(self._location, self._container.id)

    def _tell(self, action: str) -> None:
        events.emit(self._location, events.CONTAINER, action, self._container.id, self._request["attributes"])

    def _create(self) -> None:
        """Make the container first, where the caller is; from then on it is a request like any other."""
        settings = Settings.from_fields(self._request["create"])
        os.chdir(self._request["directory"])
        made = create.create(self._location, settings)  # its lock is ours until we end
        os.chdir("/")
        self._container = made.container  # whose record need not be read anew
        wishes = self._request.get("wishes")
        self._request = start.request(made.container, settings.console_size)
        if wishes:
            self._request["wishes"] = wishes
        self._call.data = json_text.dumps(self._request).encode()
        told = json_text.dumps({"id": made.container.id, "warnings": made.warnings})
        self._line.send(frames.CREATED, told.encode())

    def _start(self, filters: Cache) -> None:
        if not os.path.isdir(self._container.directory):
            raise NotFound(f"no such container: {self._container.id[:12]}")
        if self._is_again and "Altered" in self._container.record:  # by somebody who was killed over it
            from orlop.engine import alteration

            alteration.finish_abandoned(self._container)
            self._container = container.Container(self._location, self._container.id)
        if _writes_json(self._request["log"]):
            self._ends["log"] = log_file.open_log(self._container.log)
        stdio = (0, 1, 2)
        if not self._request["terminal"]:
            stdio, ours = birth.pipes(open_stdin=self._request["open_stdin"])
            self._ends.update(ours)
        record = self._container.record
        if record["HostConfig"]["NetworkMode"] == "host" and "create" not in self._call.request:
            from orlop.engine import network_files

            network_files.as_host(self._container.directory, record)
        wanted = Request(
            root=self._location.runtime,
            id=self._container.id,
            bundle=self._container.directory,
            stdio=stdio,
            rootless=self._location.rootless,
            filters=filters,
            root_mounts=record.get("RootMounts") or (),
        )
        publication = self._claim_ports(record)
        if network_mode.wanted(record):
            from orlop.engine import networking

            self._connection = networking.Connection(self._container)
            self._connection.ask_for(wanted)
        users = self._as_user(record, wanted)
        created: runtime.Created | Elsewhere
        if "Late" in record or "Runtime" in record["HostConfig"]:
            from orlop.engine import late

            created = late.create(self._container, wanted)
        else:
            created = runtime.create(wanted)
        connection = self._connection
        if connection is not None and connection.name_ends:
            self._ends[birth.NAMES], self._ends[birth.NAMES_TCP] = connection.name_ends
        try:
            if users is not None:
                self._ends.update(users.finish(publication, created.pid))
            elif connection is not None and publication is not None:
                self._ends.update(publication.put_in_force(connection.endpoints))
            if connection is not None:
                connection.close()
            self._tell_monitor(created)
            created.release()
            birth.tell_runs(self._monitor)
        except BaseException:
            if created.container.alive():
                created.container.signal(_signal.SIGKILL)
            try:
                os.waitpid(created.pid, 0)
            except ChildProcessError:
                pass  # another runtime's, which is our monitor's child
            raise

    def _as_user(self, record: dict[str, Any], wanted: Request) -> UserConnection | None:
        """An ordinary user's network, if that is what the container has; it is begun as soon as can be."""
        mode = record["HostConfig"]["NetworkMode"]
        if mode not in network_mode.USERS:
            return None
        from orlop.engine import user_network

        connection = user_network.UserConnection(self._container, mode)
        wanted.look = connection.look
        wanted.connect = connection.begin
        return connection

    def _claim_ports(self, record: dict[str, Any]) -> Publication | None:
        """Have the ports that the container publishes, if it does, before anything of it is made."""
        host = record["HostConfig"]
        if not (host.get("PortBindings") or host.get("PublishAllPorts")) or not network_mode.has_ports(record):
            return None
        from orlop.engine import publishing

        return publishing.Publication(self._container)

    def _tell_monitor(self, created: runtime.Created | Elsewhere) -> None:
        self._ends["pidfd"] = created.pidfd
        if created.console >= 0:
            self._ends["console"] = created.console
            if self._request["console_size"]:
                rows, columns = self._request["console_size"]
                terminal.set_size(created.console, rows, columns)
        if "health" in self._request:
            from orlop.engine import health

            health.begin(self._container)
        started_at = clock.now()
        self._state.update(Status="running", Running=True, Pid=created.pid, StartedAt=started_at)
        self._container.write_state(self._state)
        birth.tell(self._monitor, created.pid, started_at, self._flags(), self._ends, self._call.data)

    def _flags(self) -> int:
        wanted = (
            (birth.ENDS_INPUT, self._request["stdin_once"]),
            (birth.IS_CHECKED, "health" in self._request),
            (birth.GETS_ORPHANS, "shares_pids" in self._request),
            (birth.LACKS_RESOLVER, birth.NAMES in self._ends and self._lacks_resolver()),
            (birth.IS_LEASHED, "wishes" in self._request and self._request["wishes"].get("leash")),
        )
        return sum(flag for flag, is_so in wanted if is_so)

    def _lacks_resolver(self) -> bool:
        from orlop.engine import name_keeper

        return name_keeper.lacks_resolver(self._location.run_root)

    def _fail(self, error: Exception) -> None:
        """Record that it was not started, tell the client, and leave nothing."""
        code = error.exit_code if isinstance(error, OrlopError) and error.exit_code > 2 else 128
        message = str(error) or type(error).__name__
        lock = self._ends.get("lock")
        if lock is not None:
            self._state.update(Status="created", Running=False, Pid=0, ExitCode=code, Error=message)
            record_end(self._container, self._request, self._state)
        self._line.send(frames.FAILED, describe(error))
        self._line.finish()
        if self._connection is not None:
            self._connection.close()
        if lock is not None:
            clean_up(self._location, self._request)
            control_socket.remove(self._location, self._container.id)
            monitor_lock.drop(self._location, self._container.id, lock)
        if self._connection is not None and not self._is_again:
            from orlop.engine import networking

            networking.linger(self._location)


def _writes_json(log: dict[str, Any]) -> bool:
    """Whether the monitor itself writes the log, to a json-file: its descriptor then is opened here."""
    if log["Type"] == "json-file" and not log["Config"]:
        return True
    from orlop.engine import log_drivers

    return log_drivers.is_plain(log)


def describe(error: BaseException) -> bytes:
    """The body of a `frames.FAILED`."""
    body = channel.describe(error)
    body["exit_code"] = error.exit_code if isinstance(error, OrlopError) and error.exit_code > 1 else 125
    return json_text.dumps(body).encode()


def record_end(target: container.Container, request: dict[str, Any], state: dict[str, Any]) -> None:
    """Write down how a container ended, or make it vanish if nobody is to see it any more."""
    if request["auto_remove"] and os.path.exists(f"{target.directory}/{container.KEEP_FILE}"):
        request["auto_remove"] = False
    if request["auto_remove"]:
        removal.vanish(target.location, target.id, request["name"], request["attributes"])
        return
    try:
        target.write_state(state)
    except OSError:
        # A full disk, say. The next command finds a container without a monitor and records what it can.
        try:
            container.write(target.unwritten_end, state)
        except OSError:
            return


def clean_up(location: Location, request: dict[str, Any]) -> None:
    """Release what nobody has to wait for, once the end is recorded."""
    try:
        removal.release_runtime(location, request["id"])
        if request["auto_remove"]:
            removal.destroy(location, request["id"])
    except (OSError, OrlopError):
        return  # the next command that opens the engine tries again, and tells if it cannot either
