"""Files of containers as archives: ``/containers/{id}/archive`` and ``/export``."""

from __future__ import annotations

import base64
import stat

from orlop import clock, json_text
from orlop.api import children, pipes
from orlop.api.endpoints.containers import find
from orlop.api.exchange import Reply, Stream, nothing
from orlop.engine import copying, export
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.api.exchange import Request
    from orlop.api.routes import Endpoint
    from orlop.engine.copying import PathStat
    from orlop.engine.location import Location

_TAR = "application/x-tar"
_HEADER = "X-Docker-Container-Path-Stat"
#: The bits of Go's os.FileMode for what stat(2) says otherwise.
_GO_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: (1 << 26) | (1 << 21),
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


class Archives:
    """The endpoints for containers' files."""

    __slots__ = ("_location",)

    def __init__(self, location: Location) -> None:
        self._location = location

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Where these endpoints are."""
        yield "HEAD", "/containers/{id}/archive", self.look
        yield "GET", "/containers/{id}/archive", self.get
        yield "PUT", "/containers/{id}/archive", self.put
        yield "GET", "/containers/{id}/export", self.export

    async def look(self, request: Request) -> Reply:
        """What is known of a path."""
        found = await self._stat(request)
        return Reply(200, b"", "", {_HEADER: found})

    async def get(self, request: Request) -> Stream:
        """What is at a path."""
        found = await self._stat(request)
        target, path = find(self._location, request.arguments["id"]), request.text("path")

        def work(writer: int, _tell: children.Tell) -> None:
            copying.copy_out(target, path, writer)

        chunks = pipes.output(work)
        return Stream(await pipes.begun(chunks), _TAR, {_HEADER: found})

    async def put(self, request: Request) -> Reply:
        """Extract an archive, plain or compressed, into a directory."""
        target, path = find(self._location, request.arguments["id"]), _path(request)
        keeps = request.flag("noOverwriteDirNonDir")

        def work(source: int, _tell: children.Tell) -> None:
            copying.copy_in(target, path, source, replaces_directories=not keeps)

        await pipes.input(request.body, work)
        return nothing(200)

    async def export(self, request: Request) -> Stream:
        """All of a container's files."""
        target = find(self._location, request.arguments["id"])
        chunks = pipes.output(lambda writer, _: export.export(target, writer))
        return Stream(await pipes.begun(chunks), _TAR)

    async def _stat(self, request: Request) -> str:
        target, path = find(self._location, request.arguments["id"]), _path(request)

        def work(_: children.Tell) -> dict[str, object]:
            return _described(copying.look(target, path))

        return base64.b64encode(json_text.dumps(await children.call(work)).encode()).decode()


def _path(request: Request) -> str:
    path = request.text("path")
    if not path:
        raise InvalidArgument("bad parameter: path cannot be empty")
    return path


def _described(found: PathStat) -> dict[str, object]:
    return {
        "name": found.name,
        "size": found.size,
        "mode": _go_mode(found.mode),
        "mtime": clock.text(found.mtime),
        "linkTarget": found.target,
    }


def _go_mode(mode: int) -> int:
    found = mode & 0o777 | _GO_KINDS.get(stat.S_IFMT(mode), 0)
    for bit, go in _GO_BITS.items():
        if mode & bit:
            found |= go
    return found
