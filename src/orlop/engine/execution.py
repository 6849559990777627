"""Another command in a running container: ``exec``.

A child of the launcher does it (see `exec_monitor`): what enters a container must run in an interpreter that the
container cannot reach, and that one is sealed and warm.
"""

from __future__ import annotations

from orlop import json_text
from orlop.engine import bundle, container, repair, start, users
from orlop.errors import Conflict, InvalidArgument, NotFound
from orlop.runtime.container import Container as RuntimeContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Command:
    """What to run: a command and what it has other than the container's own process.

    ``user`` and ``workdir`` may be empty, which is the container's; ``env`` is added to the container's.
    """

    __slots__ = ("arguments", "console_size", "env", "open_stdin", "privileged", "terminal", "user", "workdir")

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self.env: list[str] = []
        self.workdir = ""
        self.user = ""
        self.terminal = False
        self.open_stdin = False
        self.privileged = False
        self.console_size: tuple[int, int] | None = None


def execute(target: container.Container, command: Command) -> start.Session:
    """Start a command in a container; returns the connection to whoever looks after it.

    Raises:
        Conflict: the container is not running.
        InvalidArgument: the user or the working directory cannot be right.
    """
    repair.look_after(target)
    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
    except NotFound:
        inner = None
    if inner is None or not inner.alive():
        raise Conflict(f"container {target.name} is not running")
    config = container.read(f"{target.directory}/config.json") or {}
    wanted = {
        **start.basics(target.location),
        "exec": process(config["process"], command, root=f"/proc/{inner.pid}/root"),
        "id": target.id,
        "terminal": command.terminal,
        "open_stdin": command.open_stdin,
    }
    return start.ask(target.location, json_text.dumps(wanted).encode())


def process(own: dict[str, Any], command: Command, *, root: str) -> dict[str, Any]:
    """The OCI ``process`` of a command, from the container's own.

    ``root`` is where the container's /etc/passwd is looked up, if another user is named.

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
        user = users.find(root, command.user)
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
