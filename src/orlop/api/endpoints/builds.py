"""``/build``: a context comes, messages go, and an image is there; and what builds keep for the next one."""

from __future__ import annotations

import os
from contextlib import suppress

from orlop import filters, json_text
from orlop.api import children, json_reading, pipes
from orlop.api.build_messages import Messages
from orlop.api.exchange import Stream, json, line, nothing
from orlop.api.failures import text
from orlop.api.fields import Fields
from orlop.api.filtering import words
from orlop.api.registry_auth import forget_own, options_of_build
from orlop.api.wording import of_docker
from orlop.build import remote
from orlop.build.progress import Progress
from orlop.engine import image_store
from orlop.engine.building import store
from orlop.engine.building.request import BuildRequest
from orlop.errors import InvalidArgument, InvalidReference, NotFound, Unsupported
from orlop.images import platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Any

    from orlop.api.exchange import Reply, Request
    from orlop.api.routes import Endpoint
    from orlop.engine.location import Location

#: The version of the builder that a client asks for with ``version=2``, which is served by no endpoint of ours.
_BUILDKIT = "2"
_SHORT = 12


class Builds:
    """The endpoints for building."""

    __slots__ = ("_location",)

    def __init__(self, location: Location) -> None:
        self._location = location

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Where these endpoints are."""
        yield "POST", "/build", self.build
        yield "POST", "/build/prune", self.prune
        yield "POST", "/build/cancel", self.cancel

    async def build(self, request: Request) -> Stream:
        """Build an image of the context in the body, or of a remote one."""
        sources = _sources(request)
        wanted = _read(request, anew=bool(sources) and not self._has_any(sources))
        quiet = request.flag("q")

        def work(writer: int, reader: int) -> None:
            def send(message: dict[str, Any]) -> None:
                data = line(message)
                while data:
                    data = data[os.write(writer, data) :]

            _build(self._location, wanted, reader, send, quiet=quiet)

        chunks = await pipes.begun(pipes.through(request.body, work))

        async def messages() -> AsyncIterator[bytes]:
            try:
                async for each in chunks:
                    yield each
            except Exception as error:  # noqa: BLE001 - whatever it was, the client must hear of it
                yield line({"errorDetail": {"message": text(error)}, "error": text(error)})
            finally:
                await chunks.aclose()

        return Stream(messages())

    def _has_any(self, names: list[str]) -> bool:
        """Whether one of the images is here that alone the build may take steps from."""
        images = image_store.open_store(self._location)
        for name in names:
            with suppress(NotFound, InvalidReference):
                images.find(name)
                return True
        return False

    async def cancel(self, request: Request) -> Reply:
        """End a build, of which there is none that has an ID: one ends when its client goes."""
        if not request.text("id"):
            raise InvalidArgument("build ID not provided")
        return nothing(200)

    async def prune(self, request: Request) -> Reply:
        """Remove what builds keep."""
        chosen = request.filters()
        chosen.pop("unused-for", None)
        keep = request.number("keep-storage", 0) or request.number("reserved-space", 0) or 0
        wanted = filters.read(words(chosen), store.tests())

        def work(_: children.Tell) -> dict[str, Any]:
            kept = store.to_keep(store.items(self._location), keep) if keep else set()
            gone = store.prune(self._location, lambda item: wanted(item) and item.id not in kept)
            return {"CachesDeleted": [each.id for each in gone], "SpaceReclaimed": sum(each.size for each in gone)}

        return json(await children.call(work))


def _build(
    location: Location, wanted: BuildRequest, reader: int, send: Callable[[dict[str, Any]], None], *, quiet: bool
) -> None:
    from orlop.build.scheduler import BuildFailed
    from orlop.engine.building import build
    from orlop.images import reference

    forget_own()
    os.dup2(reader, 0)
    messages = Messages(send)
    try:
        built = build.build(location, wanted, Progress() if quiet else messages)
    except BuildFailed as error:
        words = of_docker(str(error))
        send({"errorDetail": {"code": error.exit_code, "message": words}, "error": words})
        return
    if built.image is None:
        return
    if quiet:
        send({"stream": f"{built.image.id}\n"})
        return
    messages.end()
    send({"aux": {"ID": built.image.id}})
    send({"stream": f"Successfully built {built.image.id.partition(':')[2][:_SHORT]}\n"})
    for name in built.names:
        send({"stream": f"Successfully tagged {reference.parse(name).familiar}\n"})


def _sources(request: Request) -> list[str]:
    """The images that a client names for the steps that they have in common with the build."""
    if not request.text("cachefrom"):
        return []
    return Fields({"cachefrom": json_reading.read(request.text("cachefrom"))}).texts("cachefrom")


def _check(request: Request) -> None:
    """Refuse what Docker's builder refuses too."""
    if request.text("isolation") not in ("", "default"):
        raise InvalidArgument(f'unsupported isolation: "{request.text("isolation")}"')
    if request.text("version") not in ("", "1", _BUILDKIT):
        raise InvalidArgument(f'invalid version "{request.text("version")}"')
    for name in ("ulimits", "outputs"):
        if request.text(name) and not isinstance(json_reading.read(request.text(name)), (list, type(None))):
            raise InvalidArgument(f"invalid {name}: it must be a JSON list")


def _read(request: Request, *, anew: bool) -> BuildRequest:
    _check(request)
    if request.text("version") == _BUILDKIT:
        raise Unsupported("BuildKit's protocol is not served: set DOCKER_BUILDKIT=0 in the client's environment")
    context = request.text("remote") or "-"
    if context != "-" and not (context.startswith(("http://", "https://")) or remote.is_git(context)):
        raise InvalidArgument(f"invalid remote {context}: it must be the address of an archive or of a git repository")
    wishes: dict[str, Any] = {}
    hosts = [each for text in request.texts("extrahosts") for each in _list(text)]
    if hosts:
        wishes["extra_hosts"] = hosts
    for name, setting in (
        ("memory", "memory"),
        ("memswap", "memory_swap"),
        ("shmsize", "shm_size"),
        ("cpushares", "cpu_shares"),
        ("cpuperiod", "cpu_period"),
        ("cpuquota", "cpu_quota"),
    ):
        if request.number(name, 0):
            wishes[setting] = request.number(name)
    if request.text("cpusetcpus"):
        wishes["cpuset_cpus"] = request.text("cpusetcpus")
    wanted = request.text("platform")
    arguments = _pairs(request, "buildargs")
    epoch = arguments.get("SOURCE_DATE_EPOCH", "")
    return BuildRequest(
        context=context,
        dockerfile=request.text("dockerfile"),
        tags=[each for each in request.texts("t") if each],
        target=request.text("target"),
        arguments=arguments,
        platform=platform.parse(wanted) if wanted else platform.host(),
        labels=_pairs(request, "labels"),
        no_cache=anew or request.flag("nocache"),
        pull=request.flag("pull"),
        network=request.text("networkmode") or "default",
        wishes=wishes,
        epoch=int(epoch) if epoch.isascii() and epoch.isdigit() else None,
        squash=request.flag("squash"),
        registries=options_of_build(request),
    )


def _pairs(request: Request, name: str) -> dict[str, str]:
    """A parameter that is a JSON object of texts; null means that the builder's own environment counts, which is none."""
    text = request.text(name)
    if not text:
        return {}
    try:
        value = json_reading.read(text)
    except InvalidArgument as error:
        raise InvalidArgument(f"error reading {name}: {error}") from None
    if value is not None and not isinstance(value, dict):
        raise InvalidArgument(f"error reading {name}: it must be a JSON object")
    known = {key: each for key, each in (value or {}).items() if each is not None}
    return Fields({name: known}).pairs(name)


def _list(text: str) -> list[str]:
    """Several hosts in one parameter: with commas between, or a JSON list."""
    if text.startswith("["):
        try:
            value = json_text.loads(text)
        except ValueError:
            value = None
        return Fields({"extrahosts": value}).texts("extrahosts")
    return [each for each in text.split(",") if each]
