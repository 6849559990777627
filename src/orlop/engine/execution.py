"""Another command in a running container: ``exec``.

A child of the launcher does it (see `exec_monitor`): what enters a container must run in an interpreter that the
container cannot reach, and that one is sealed and warm.
"""

from __future__ import annotations

from orlop import json_text
from orlop.engine import bundle, container, control_socket, events, exec_record, frames, repair, start, users
from orlop.errors import Conflict, InvalidArgument, NotFound
from orlop.runtime.container import Container as RuntimeContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Any

    from orlop.engine.location import Location


class Command:
    """What to run: a command and what it has other than the container's own process.

    ``user`` and ``workdir`` may be empty, which is the container's; ``env`` is added to the container's. ``shows`` says
    whether whoever starts it wants its output, and its errors.
    """

    __slots__ = ("arguments", "console_size", "env", "open_stdin", "privileged", "shows", "terminal", "user", "workdir")

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self.env: list[str] = []
        self.workdir = ""
        self.user = ""
        self.terminal = False
        self.open_stdin = False
        self.privileged = False
        self.shows = (True, True)
        self.console_size: tuple[int, int] | None = None


def execute(target: container.Container, command: Command) -> start.Session:
    """Start a command in a container; returns the connection to whoever looks after it.

    Raises:
        Conflict: the container is not running.
        InvalidArgument: the user or the working directory cannot be right.
    """
    return start.ask(target.location, _request(target.location, _record(target, command)))


def prepare(target: container.Container, command: Command, detach_keys: str = "") -> str:
    """Make everything ready for a command, for `start_prepared`; its exec id.

    Raises:
        Conflict: the container is not running.
        InvalidArgument: the user or the working directory cannot be right.
    """
    record = _record(target, command)
    record["DetachKeys"] = detach_keys
    record["OpenStdout"], record["OpenStderr"] = command.shows
    exec_record.write(target.location, record)
    return str(record["ID"])


def start_prepared(location: Location, exec_id: str, console_size: tuple[int, int] | None = None) -> start.Session:
    """Start a command that was prepared; returns the connection to whoever looks after it.

    Raises:
        NotFound: there is no such command.
        Conflict: it was started before, or the container is not running.
    """
    return start.at_once(starting(location, prepared(location, exec_id), console_size))


def starting(
    location: Location, record: dict[str, Any], console_size: tuple[int, int] | None = None
) -> Generator[int, None, start.Session]:
    """The steps of `start_prepared` for what `prepared` has found, as `orlop.engine.start.starting` has them."""
    if console_size is not None:
        record["Process"]["consoleSize"] = {"height": console_size[0], "width": console_size[1]}
    return (yield from start.asking(location, _request(location, record)))


def prepared(location: Location, exec_id: str) -> dict[str, Any]:
    """The record of a command that was prepared and can be started.

    Raises:
        NotFound: there is no such command.
        Conflict: it was started before, or the container is not running.
    """
    record = exec_record.read(location, exec_id)
    _running(container.Container(location, record["ContainerID"]))
    if "Process" not in record:
        raise Conflict(f"exec command {exec_id} has already run")
    return record


def inspect(location: Location, exec_id: str) -> dict[str, Any]:
    """What is known of a command: Docker's ``ExecInspect``.

    Raises:
        NotFound: there is no such command, or it ended long ago.
    """
    record = exec_record.read(location, exec_id)
    record.pop("Process", None)
    if record["Running"] and not exec_record.is_running(location, exec_id):
        record["Running"] = False  # its monitor was killed, and nobody knows its exit code
    return record


def resize(location: Location, exec_id: str, rows: int, columns: int) -> None:
    """Set the size of a command's terminal, in characters.

    Raises:
        NotFound: there is no such command.
        Conflict: it does not run.
    """
    runs = exec_record.read(location, exec_id)["Running"]
    client = control_socket.connect(location, exec_id) if runs else None
    if client is None:
        raise Conflict(f"exec command {exec_id} is not running")
    try:
        start.Session(client, None).send(frames.SIZE, frames.size(rows, columns))
    finally:
        client.close()


def _record(target: container.Container, command: Command) -> dict[str, Any]:
    """The record of a command that is about to be executed, with the OCI process as ``Process``."""
    inner = _running(target)
    config = container.read(f"{target.directory}/config.json") or {}
    groups = target.record["HostConfig"].get("GroupAdd") or ()
    made = process(config["process"], command, root=f"/proc/{inner.pid}/root", groups=groups)
    record = exec_record.new(
        target.id, made, open_stdin=command.open_stdin, privileged=command.privileged, user=command.user
    )
    events.of_container(target, f"exec_create: {' '.join(command.arguments)}", {"execID": record["ID"]})
    return {**record, "Process": made}


def _running(target: container.Container) -> RuntimeContainer:
    repair.look_after(target)
    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
    except NotFound:
        inner = None
    if inner is None or not inner.alive():
        raise Conflict(f"container {target.name} is not running")
    if inner.cgroup().frozen:
        raise Conflict(f"container {target.name} is paused: unpause it before you execute commands in it")
    return inner


def _request(location: Location, record: dict[str, Any]) -> bytes:
    """What a launcher is told of a command; takes the process out of its record."""
    wanted = {
        **start.basics(location),
        "id": record["ContainerID"],
        "exec": record.pop("Process"),
        "record": record,
        "attributes": events.attributes(container.Container(location, record["ContainerID"]).record),
    }
    return json_text.dumps(wanted).encode()


def process(own: dict[str, Any], command: Command, *, root: str, groups: Sequence[str] = ()) -> dict[str, Any]:
    """The OCI ``process`` of a command, from the container's own.

    ``root`` is where the container's /etc/passwd is looked up, if another user is named; ``groups`` are those that were
    added to whoever it is.

    Raises:
        InvalidArgument: the user or the working directory cannot be right.
    """
    if command.workdir and not command.workdir.startswith("/"):
        raise InvalidArgument(f'the working directory "{command.workdir}" is invalid: it needs to be an absolute path')
    made = {
        **own,
        "args": command.arguments,
        "terminal": command.terminal,
        "cwd": command.workdir or own["cwd"],
    }
    made.pop("consoleSize", None)
    if command.console_size:
        made["consoleSize"] = {"height": command.console_size[0], "width": command.console_size[1]}
    home = ""
    if command.user:
        user = users.find(root, command.user, groups)
        home = user.home
        made["user"] = {**user.config(), "umask": own["user"].get("umask", 0o022)}
    bounding = own["capabilities"]["bounding"]
    if command.privileged:
        from orlop.engine import capabilities

        bounding, _ = capabilities.choose((), (), privileged=True, available=capabilities.available())
    held = bounding if made["user"]["uid"] == 0 or command.privileged else []
    made["capabilities"] = {"bounding": bounding, "effective": held, "permitted": held}
    made["env"] = _environment(own["env"], command, home)
    return made


def _environment(own: list[str], command: Command, home: str) -> list[str]:
    variables = dict(text.split("=", 1) for text in own)
    if home:
        variables["HOME"] = home
    if command.terminal:
        variables.setdefault("TERM", "xterm")
    bundle.merge(variables, command.env)
    return [f"{name}={value}" for name, value in variables.items()]
