"""Images that come and go: pulled, pushed, imported, saved and loaded."""

from __future__ import annotations

import os
import re

from orlop.api import pipes
from orlop.api.exchange import JSON, Stream, line
from orlop.api.failures import text
from orlop.api.image_names import named
from orlop.api.registry_auth import options
from orlop.engine import image_transfer
from orlop.errors import InvalidArgument, NotFound
from orlop.images import platform as platforms
from orlop.images import reference
from orlop.images.progress_messages import Messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from typing import Any

    from orlop.api import children
    from orlop.api.exchange import Request
    from orlop.api.routes import Endpoint
    from orlop.engine.location import Location

_TAR = "application/x-tar"
_BEGUN = re.compile(r"(\S+): (Pulling from .*)")
_PUSHED = re.compile(r"(\S+): digest: (\S+) size: (\d+)")


class _Told(Messages):
    """The messages of a pull or a push, with what the API's have beyond the command line's.

    The first one is kept until there is another: what fails before that is an answer of its own.
    """

    __slots__ = ("_first",)

    def __init__(self, write: Callable[[str], object]) -> None:
        self._first: dict[str, Any] | None = None
        super().__init__(self._all_of(write))

    def _all_of(self, write: Callable[[str], object]) -> Callable[[str], object]:
        def after_first(text: str) -> None:
            if self._first is not None:
                write(line(self._first).decode())
                self._first = None
            write(text)

        return after_first

    def say(self, text: str) -> None:
        """Tell a whole line."""
        if found := _BEGUN.fullmatch(text):
            self._first = {"status": found[2], "id": found[1]}
            return
        super().say(text)
        if found := _PUSHED.fullmatch(text):
            self._write({"progressDetail": {}, "aux": {"Tag": found[1], "Digest": found[2], "Size": int(found[3])}})


class Transfers:
    """The endpoints for images that travel."""

    __slots__ = ("_location",)

    def __init__(self, location: Location) -> None:
        self._location = location

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Where these endpoints are."""
        yield "POST", "/images/create", self.create
        yield "POST", "/images/load", self.load
        yield "GET", "/images/get", self.save
        yield "GET", "/images/{name...}/get", self.save
        yield "POST", "/images/{name...}/push", self.push

    async def create(self, request: Request) -> Stream:
        """Pull an image, or import one."""
        if request.text("fromSrc"):
            return await self._import(request)
        name = request.text("fromImage")
        if not name:
            raise InvalidArgument("fromImage or fromSrc is needed")
        if name == "scratch":
            raise InvalidArgument("'scratch' is a reserved name")
        every_tag = not request.text("tag") and reference.parse(name).is_name_only
        name = named(name, request.text("tag"))
        platform, wanted = request.text("platform"), options(request)
        if platform:
            platforms.parse(platform)

        def work(progress: Messages) -> None:
            image_transfer.pull(self._location, name, progress, wanted=platform, every_tag=every_tag, options=wanted())

        return await _told(work)

    async def push(self, request: Request) -> Stream:
        """Push an image, or all of a repository's."""
        name, tag = request.arguments["name"], request.text("tag")
        wanted = options(request)
        every_tag = not tag and reference.parse(name).is_name_only
        name = named(name, tag)
        repository = reference.parse(name)

        def work(progress: Messages) -> None:
            try:
                image_transfer.push(self._location, name, progress, every_tag=every_tag, options=wanted())
            except NotFound:
                # Clients look for this in the stream.
                progress.say(f"The push refers to repository [{repository.name}]")
                tag = repository.familiar if repository.tag else repository.familiar_name
                raise NotFound(f"An image does not exist locally with the tag: {tag}") from None

        return await _told(work)

    async def save(self, request: Request) -> Stream:
        """An archive of images."""
        name = request.arguments.get("name")
        names = [name] if name else [each for text in request.texts("names") for each in text.split(",") if each]
        if not names:
            raise InvalidArgument("the names of the images to save are needed")

        def work(writer: int, _tell: children.Tell) -> None:
            from orlop.images.archive import save
            from orlop.storage.layers import tar_writer

            image_transfer.save(self._location, names, tar_writer.Descriptor(writer), form=save.DOCKER_ARCHIVE)

        return Stream(await pipes.begun(pipes.output(work)), _TAR)

    async def load(self, request: Request) -> Stream:
        """Get images out of an archive."""
        platform = request.text("platform")

        def work(source: int, tell: children.Tell) -> None:
            progress = Messages(tell)
            loaded = image_transfer.load(self._location, source, "the request's body", progress, wanted=platform)
            for image, names in loaded:
                for each in names:
                    tell(line({"stream": f"Loaded image: {reference.parse(each).familiar}\n"}).decode())
                if not names:
                    tell(line({"stream": f"Loaded image ID: {image.id}\n"}).decode())

        told: list[bytes] = []
        quiet = request.flag("quiet")

        def keep(message: str) -> None:
            if not quiet or '"stream"' in message:
                told.append(message.encode())

        async def messages() -> AsyncIterator[bytes]:
            try:
                await pipes.input(request.body, work, keep)
            except Exception as error:  # noqa: BLE001 - whatever it was, the client must hear of it
                told.append(_failure(error))
            yield b"".join(told)

        return Stream(messages())

    async def _import(self, request: Request) -> Stream:
        source, name = request.text("fromSrc"), named(request.text("repo"), request.text("tag"))
        if source != "-" and "://" not in source:
            source = f"http://{source}"
        said = [each for text in request.texts("changes") for each in text.split("\n") if each.strip()]
        message, platform = request.text("message"), request.text("platform")

        def work(reader: int, _tell: children.Tell) -> str:
            from orlop.build import changes
            from orlop.images.archive import file_system

            description = file_system.Description(
                execution=changes.applied(said),
                comment=message or f"Imported from {source}",
                platform=platforms.parse(platform) if platform else None,
            )
            if source == "-":
                archive, where = reader, "the request's body"
            else:
                archive, where = _downloaded(source), source
            made = image_transfer.import_archive(self._location, archive, where, name, description)
            return str(made.id)

        made = await pipes.input(request.body, work)

        async def tell() -> AsyncIterator[bytes]:
            yield line({"status": made})

        return Stream(tell())


def _downloaded(source: str) -> int:
    """The archive at an address, as a file that has no name any more.

    Raises:
        InvalidArgument: it is no address.
        OrlopError: there is nothing, or it cannot be got.
    """
    import tempfile

    from orlop.build import remote

    if not source.startswith(("http://", "https://")):
        raise InvalidArgument(f"{source} is no address that archives are imported from: use http:// or https://")
    with tempfile.TemporaryDirectory(prefix="orlop-import-") as directory:
        holder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remote.download(source, holder, "archive")
        finally:
            os.close(holder)
        return os.open(f"{directory}/archive", os.O_RDONLY | os.O_CLOEXEC)


async def _told(work: Callable[[Messages], None]) -> Stream:
    """What a child tells of its progress, as it tells it; what fails before that is an answer of its own."""

    def run(writer: int, _tell: children.Tell) -> None:
        def write(message: str) -> None:
            data = message.encode()
            while data:
                data = data[os.write(writer, data) :]

        work(_Told(write))

    chunks = await pipes.begun(pipes.output(run))

    async def with_failure() -> AsyncGenerator[bytes, None]:
        try:
            async for each in chunks:
                yield each
        except Exception as error:  # noqa: BLE001 - whatever it was, the client must hear of it
            yield _failure(error)
        finally:
            await chunks.aclose()

    return Stream(with_failure(), JSON)


def _failure(error: Exception) -> bytes:
    """A failure in the middle of a stream."""
    words: dict[str, Any] = {"errorDetail": {"message": text(error)}, "error": text(error)}
    return line(words)
