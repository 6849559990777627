"""``orlop exec``: run a command in a running container."""

from __future__ import annotations

import os
import sys

from orlop.cli import settings_options
from orlop.engine import container, execution, start
from orlop.errors import InvalidArgument, OrlopError, told
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.detach_keys import DetachKeys
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop exec",
    "CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    (
        Option("-d, --detach", "Detached mode: run command in the background"),
        Option("--detach-keys", "Override the key sequence for detaching a container", value="string"),
        Option("-i, --interactive", "Keep STDIN open even if not attached"),
        Option("-t, --tty", "Allocate a pseudo-TTY"),
        Option("-e, --env", "Set environment variables", value="list", many=True),
        Option("--env-file", "Read in a file of environment variables", value="list", many=True),
        Option("-w, --workdir", "Working directory inside the container", value="string", default=""),
        Option("-u, --user", "Username or UID (format: <name|uid>[:<group|gid>])", value="string", default=""),
        Option("--privileged", "Give extended privileges to the command"),
    ),
    at_least=2,
    intermixed=False,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out; returns the command's exit status, or 126 or 127 if it could not be executed."""
    command = execution.Command(said.arguments[1:])
    command.env = settings_options.environment(said["env-file"], said["env"])
    command.workdir = said["workdir"]
    command.user = said["user"]
    command.terminal = said["tty"]
    command.privileged = said["privileged"]
    detach = said["detach"]
    command.open_stdin = said["interactive"] and not detach
    typing = command.terminal and command.open_stdin
    if typing and not os.isatty(0):
        raise InvalidArgument("the input device is not a TTY")
    keys = None
    if typing:
        from orlop.cli import detach_keys

        keys = detach_keys.choose(said["detach-keys"])
    target = container.find(location, said.arguments[0])
    try:
        return _run(target, command, keys, typing=typing, detach=detach)
    except OrlopError as error:
        sys.stderr.write(f"orlop: {told(error)}\n")
        if detach or not isinstance(error, (start.StartFailed, InvalidArgument)):
            return 1
        return 127 if error.exit_code == 127 else 126


def _run(
    target: container.Container, command: execution.Command, keys: DetachKeys | None, *, typing: bool, detach: bool
) -> int:
    if detach:
        execution.execute(target, command).wait_started()
        return 0
    from orlop.cli import attachment

    with attachment.Terminal(raw=typing, signals=True) as terminal:
        command.console_size = terminal.size() if command.terminal else None
        session = execution.execute(target, command)
        session.wait_started()
        return attachment.attach(session, terminal, target, read_stdin=command.open_stdin, keys=keys, is_exec=True)
