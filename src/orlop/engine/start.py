"""Starting a container that was created: by the launcher, or from the caller's own process."""

from __future__ import annotations

import os

import orlop
from orlop import json_text
from orlop.engine import frames, launch
from orlop.errors import ImageNotFound, InvalidArgument, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Generator, Mapping
    from typing import Any, TypeVar

    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.engine.settings import Settings

    Result = TypeVar("Result")

#: In `frames.ATTACH`: to none of the standard streams.
_TO_NOTHING = b"\0"
_LARGEST_ANSWER = frames.LARGEST + 1
#: What fits into one packet with the smallest send buffer there is.
_LARGEST_REQUEST = 128 << 10


def request(container: Container, console_size: tuple[int, int] | None = None) -> dict[str, Any]:
    """What a monitor needs to know of a container; ``console_size`` is its terminal's, rows and columns."""
    from orlop.engine import events

    record = container.record
    config, host = record["Config"], record["HostConfig"]
    wanted = {
        **basics(container.location),
        "id": container.id,
        "attributes": events.attributes(record),
        "name": record["Name"],
        "auto_remove": host["AutoRemove"],
        "terminal": config["Tty"],
        "open_stdin": config["OpenStdin"],
        "stdin_once": config.get("StdinOnce", False),
        "console_size": console_size,
        "log": host["LogConfig"],
    }
    if host["LogConfig"]["Config"] or host["LogConfig"]["Type"] != "json-file":
        from orlop.engine import log_drivers

        wanted["log"] = log_drivers.request(record)
    volumes = events.volumes(record)
    if volumes:
        wanted["volumes"] = volumes
    policy = host.get("RestartPolicy") or {}
    if policy.get("Name", "no") not in ("", "no"):
        wanted["restart"] = policy
    if host.get("PidMode"):
        wanted["shares_pids"] = True
    if host.get("Dns"):
        wanted["dns"] = host["Dns"]
    if "Healthcheck" in config:
        from orlop.engine import health

        check = health.wanted(config)
        if check is not None:
            wanted["health"] = check
    return wanted


def basics(location: Location) -> dict[str, Any]:
    """What every request tells: which orlop asks, and for which engine."""
    return {
        "version": orlop.__version__,
        "package": launch.package(),
        "root": location.root,
        "run_root": location.run_root,
        "rootless": location.rootless,
    }


class Session:
    """A client's connection to the monitor of a container that is being started."""

    __slots__ = ("_first", "_lock", "_without", "socket")

    def __init__(self, socket: _socket.socket, first: tuple[bytes, bytes] | None) -> None:
        self.socket = socket
        self._first = first
        self._lock = -1
        self._without: Location | None = None

    def receive(self) -> tuple[bytes, bytes] | None:
        """The next frame; None if the monitor is gone.

        Raises:
            BlockingIOError: there is none yet, and the socket was set not to wait.
        """
        if self._first is not None:
            frame, self._first = self._first, None
            return frame
        return _receive(self.socket)

    def early(self) -> tuple[bytes, bytes] | None:
        """The frame that came before its turn, if one did; for who reads the others from the socket."""
        frame, self._first = self._first, None
        return frame

    def hold(self, lock: int) -> None:
        """Keep a descriptor open until the container is started."""
        self._lock = lock

    def leave_launcher(self, location: Location) -> None:
        """Have a launcher left behind once the container is started, which would have to share the processors with it."""
        self._without = location

    def send(self, kind: bytes, body: bytes = b"") -> bool:
        """Send a frame; False if the monitor is gone."""
        try:
            self.socket.send(kind + body)
        except OSError:
            return False
        return True

    def leave(self) -> None:
        """Have nothing to do with the container any more; its input stays open for whoever attaches to it."""
        self.send(frames.ATTACH, _TO_NOTHING)
        self.socket.close()

    def wait_started(self) -> None:
        """Wait until the program runs.

        Raises:
            OrlopError: it could not be started; ``exit_code`` is what a command should end with.
        """
        frame = self.receive()
        if self._without is not None:
            launch.spawn(self._without)
            self._without = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if frame is None:
            raise OrlopError("the container's monitor ended before the container was started")
        if frame[0] == frames.FAILED:
            raise failure(frame[1])
        if frame[0] != frames.STARTED:
            self._first = frame  # the program was quicker than the word that it runs


class StartFailed(OrlopError):
    """A container, or a command in one, could not be started.

    ``exit_code`` is 127 if there is no such program, 126 if it cannot be executed, 125 or 128 otherwise. ``container_id``
    and ``image`` are the container's where they are known.
    """

    container_id = ""
    image = ""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def failure(body: bytes) -> OrlopError:
    """The error that a monitor told of; a missing image is one that the caller may do something about."""
    from orlop.runtime import channel

    told = json_text.loads(body)
    revived = channel.revive(told)
    return revived if isinstance(revived, ImageNotFound) else StartFailed(str(revived), int(told["exit_code"]))


class Started:
    """A container that was made and is being started: ``id``, ``warnings`` about what was left out, and the session."""

    __slots__ = ("id", "session", "warnings")

    def __init__(self, container_id: str, warnings: list[str], session: Session) -> None:
        self.id = container_id
        self.warnings = warnings
        self.session = session


def create_and_start(location: Location, settings: Settings, client: _socket.socket | None, *, stays: bool) -> Started:
    """Make a container and have it started.

    ``client`` is a connection to the launcher (`launch.connect`), opened as early as possible, or None. What answers
    there has everything loaded that making a container takes, so it makes it; without, we do.

    Raises:
        ImageNotFound: the image is not here: pull it, connect anew, and try again.
        OrlopError: as `orlop.engine.create.create`.
        StartFailed: it could not be made.
    """
    if client is not None:
        started = _ask_to_create(location, settings, client)
        if started is not None:
            return started
    from orlop.engine import create

    made = create.create(location, settings)
    session = start(made.container, settings.console_size, stays=stays)
    session.hold(made.lock)
    return Started(made.container.id, made.warnings, session)


def create_and_start_apart(location: Location, settings: Settings, wishes: Mapping[str, Any]) -> Started:
    """Make a container and have it started, doing nothing of it in this process, which may have several threads.

    ``wishes`` are more for its monitor: with ``leash`` the container ends when the session does, however the caller came
    to its end; with ``measure`` a frame tells before `frames.EXITED` what the container used (`orlop.engine.usage`).

    Raises:
        ImageNotFound: the image is not here: pull it and try again.
        InvalidArgument: the settings are more than a request can hold.
        StartFailed: it could not be made.
    """
    client = launch.connect(location)
    started = None
    if client is not None:
        started = _ask_to_create(location, settings, client, wishes)
    if started is None:
        client, theirs = launch.pair()
        launch.spawn(location, theirs)
        theirs.close()
        started = _ask_to_create(location, settings, client, wishes)
    if started is None:
        raise InvalidArgument(f"the settings of the container are too long: all together {_LARGEST_REQUEST} bytes")
    return started


def _ask_to_create(
    location: Location, settings: Settings, client: _socket.socket, wishes: Mapping[str, Any] | None = None
) -> Started | None:
    """Have the launcher make and start a container; None if it does not serve us."""
    try:
        here = os.getcwd() if wishes is None else "/"
    except FileNotFoundError:  # relative paths mean nothing any more, and only to us
        client.close()
        return None
    wanted = {**basics(location), "create": settings.fields(), "directory": here}
    if wishes:
        wanted["wishes"] = wishes
    data = json_text.dumps(wanted).encode()
    frame = None
    if len(data) <= _LARGEST_REQUEST:
        try:
            launch.send(client, data)
            frame = _frame(client.recv(_LARGEST_ANSWER))
        except ConnectionError:
            # Whoever was to serve us has gone and has not read what we want: a packet that was read leaves an end
            # without an error (unix(7); unix_release_sock in net/unix/af_unix.c).
            frame = (frames.REFUSED, b"")
    else:
        frame = (frames.REFUSED, b"")
    if frame is None:
        client.close()
        raise OrlopError("the launcher ended before the container was made; see 'orlop ps -a' and try again")
    if frame[0] in (frames.REFUSED, frames.OUTDATED):
        client.close()
        return None
    if frame[0] == frames.FAILED:
        client.close()
        raise failure(frame[1])
    told = json_text.loads(frame[1])
    return Started(told["id"], told["warnings"], Session(client, None))


def start(
    container: Container, console_size: tuple[int, int] | None, *, stays: bool, restart_count: int = 0
) -> Session:
    """Have the container started; ``restart_count`` says how often that was done by its restart policy.

    ``stays`` says that the caller goes and the container stays. Where no launcher is running, that container
    is the first one of a new launcher, so that its monitor is a small one; otherwise its monitor is forked
    from the caller, who does not have to wait for the launcher that `Session.wait_started` leaves behind.
    """
    return at_once(starting(container, console_size, stays=stays, restart_count=restart_count))


def starting(
    container: Container, console_size: tuple[int, int] | None, *, stays: bool, restart_count: int = 0
) -> Generator[int, None, Session]:
    """The steps of `start`, for who waits for several things at once: each is a descriptor to be readable before the next."""
    wanted = request(container, console_size)
    if restart_count:
        wanted["restart_count"] = restart_count
    data = json_text.dumps(wanted).encode()
    before = container.last_written()
    session = yield from _ask_running(container.location, data)
    if session is not None:
        return session
    if container.last_written() != before:
        # The launcher forked its monitor and both were killed. A second one must not start it again.
        raise OrlopError("the container's monitor ended before the container was started")
    if stays:
        return (yield from _ask_new(container.location, data))
    session = Session(_fork_monitor(container.location, wanted, data), None)
    session.leave_launcher(container.location)
    return session


def ask(location: Location, data: bytes) -> Session:
    """Send a request to the launcher, starting one if there is none."""
    return at_once(asking(location, data))


def asking(location: Location, data: bytes) -> Generator[int, None, Session]:
    """The steps of `ask`, as `starting` has them."""
    session = yield from _ask_running(location, data)
    return session or (yield from _ask_new(location, data))


def at_once(steps: Generator[int, None, Result]) -> Result:
    """Go through the steps; what each waits for is waited for by the next one itself."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: Result = done.value
            return result


def _offer(location: Location, data: bytes) -> _socket.socket | None:
    """Send a request to the running launcher without waiting for the answer; None if there is none."""
    client = launch.connect(location)
    if client is None:
        return None
    try:
        launch.send(client, data)
    except ConnectionError:
        client.close()
        return None  # it has just gone
    return client


def _ask_running(location: Location, data: bytes) -> Generator[int, None, Session | None]:
    """Send a request to the running launcher; None if there is none for us."""
    client = _offer(location, data)
    if client is None:
        return None
    yield client.fileno()
    try:
        frame = _receive(client)
    except ConnectionError:
        frame = None  # it has just gone
    if frame is None or frame[0] in (frames.REFUSED, frames.OUTDATED):
        client.close()
        return None
    return Session(client, frame)


def _ask_new(location: Location, data: bytes) -> Generator[int, None, Session]:
    """Send a request to a launcher that is started for it, which takes as long as an interpreter does."""
    ours, theirs = launch.pair()
    launch.send(ours, data)
    launch.spawn(location, theirs)
    theirs.close()
    yield ours.fileno()
    return Session(ours, None)


def _fork_monitor(location: Location, wanted: dict[str, Any], data: bytes) -> _socket.socket:
    """Fork a monitor from this process; returns the connection to it."""
    ours, theirs = launch.pair()
    if os.fork():
        theirs.close()
        return ours
    status = 1
    try:
        os.setsid()
        launch.detach_from_caller(theirs.fileno())
        from orlop.engine import birth, filters, monitor, own_cgroup

        def let_go() -> None:
            theirs.close()
            own_cgroup.enter("monitor")  # while the starter works

        os.umask(0o022)
        monitor.ignore_endings()
        status = monitor.run(lambda: birth.Call(theirs, data, wanted), filters.kept(location), let_go)
        own_cgroup.leave()
    finally:
        os._exit(status)


def _receive(socket: _socket.socket) -> tuple[bytes, bytes] | None:
    try:
        data = socket.recv(_LARGEST_ANSWER)
    except ConnectionResetError:
        # It has gone and left unread what we sent: that is told once, and then come its last words
        # (unix_release_sock in net/unix/af_unix.c).
        data = socket.recv(_LARGEST_ANSWER)
    return _frame(data)


def _frame(data: bytes) -> tuple[bytes, bytes] | None:
    return (data[:1], data[1:]) if data else None
