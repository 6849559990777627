"""``/containers/{id}/exec`` and ``/exec``: further commands in a container."""

from __future__ import annotations

from orlop.api import attachments
from orlop.api.attachments import Wanted
from orlop.api.endpoints.container_streams import content_type
from orlop.api.endpoints.containers import find
from orlop.api.exchange import Takeover, json, nothing
from orlop.api.fields import Fields
from orlop.engine import detach_keys, execution
from orlop.errors import InvalidArgument, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.api.exchange import Reply, Request
    from orlop.api.routes import Endpoint
    from orlop.api.wire import Wire
    from orlop.engine.location import Location


class Execs:
    """The endpoints for commands in running containers."""

    __slots__ = ("_location",)

    def __init__(self, location: Location) -> None:
        self._location = location

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Where these endpoints are."""
        yield "POST", "/containers/{id}/exec", self.create
        yield "POST", "/exec/{id}/start", self.start
        yield "POST", "/exec/{id}/resize", self.resize
        yield "GET", "/exec/{id}/json", self.inspect

    async def create(self, request: Request) -> Reply:
        """Make a command ready."""
        said = Fields(await request.json())
        command = execution.Command(said.texts("Cmd"))
        if not command.arguments:
            raise InvalidArgument("No exec command specified")
        target = find(self._location, request.arguments["id"])
        command.env = said.texts("Env")
        command.workdir = said.text("WorkingDir")
        command.user = said.text("User")
        command.terminal = said.flag("Tty")
        command.open_stdin = said.flag("AttachStdin")
        command.privileged = said.flag("Privileged")
        command.console_size = _size(said)
        detach_keys.read(said.text("DetachKeys"))
        command.shows = (said.flag("AttachStdout"), said.flag("AttachStderr"))
        return json({"Id": execution.prepare(target, command, said.text("DetachKeys"))}, 201)

    async def start(self, request: Request) -> Reply | Takeover:
        """Start a command that was made ready."""
        said = Fields(await request.json(needed=False))
        record = execution.prepared(self._location, request.arguments["id"])
        is_terminal = said.flag("Tty") or bool(record["ProcessConfig"]["tty"])
        size = _size(said)
        if said.flag("Detach"):
            session = await attachments.stepping(execution.starting(self._location, record, size))
            try:
                session.wait_started()
            finally:
                session.socket.close()
            return nothing(200)
        wanted = Wanted(
            stdin=record["OpenStdin"],
            stdout=record["OpenStdout"],
            stderr=record["OpenStderr"],
            has_frames=not is_terminal,
            keys=detach_keys.read(record.get("DetachKeys") or detach_keys.DEFAULT) if is_terminal else b"",
        )

        async def serve(wire: Wire) -> None:
            # Only now: clients read the head with a buffer, in which output that came along with it would be lost.
            try:
                session = await attachments.stepping(execution.starting(self._location, record, size))
                session.wait_started()
            except OrlopError as error:
                told = f"OCI runtime exec failed: {error}\r\n".encode()
                await wire.write(told if is_terminal else attachments.multiplexed(1, told))
                return
            await attachments.connect(wire, session, wanted)

        return Takeover(serve, content_type(request, is_terminal=is_terminal))

    async def resize(self, request: Request) -> Reply:
        """Set the size of a command's terminal."""
        rows, columns = request.size()
        execution.resize(self._location, request.arguments["id"], rows, columns)
        return nothing(200)

    async def inspect(self, request: Request) -> Reply:
        """What is known of a command."""
        return json(execution.inspect(self._location, request.arguments["id"]))


def _size(said: Fields) -> tuple[int, int] | None:
    value = said.plain().get("ConsoleSize")
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(each, int) and each >= 0 for each in value):
        raise InvalidArgument("invalid JSON: ConsoleSize must be two numbers, the height and the width")
    return (value[0], value[1]) if any(value) else None
