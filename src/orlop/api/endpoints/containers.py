"""``/containers``: made, listed, started, changed and removed; their streams are in `container_streams`."""

from __future__ import annotations

from orlop import filters
from orlop.api import attachments, children, creation, host_objects, shapes, summaries
from orlop.api.exchange import Stream, json, nothing
from orlop.api.fields import Fields
from orlop.api.filtering import words
from orlop.api.workers import Workers
from orlop.engine import (
    container,
    container_list,
    control,
    create,
    inspection,
    links,
    pausing,
    prune,
    removal,
    rename,
    repair,
    restart,
    signalling,
    update,
)
from orlop.errors import Conflict, ImageNotFound, InvalidArgument, NotFound, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Any

    from orlop.api.attachments import Attachments
    from orlop.api.exchange import Reply, Request
    from orlop.api.routes import Endpoint
    from orlop.api.watching import Watching
    from orlop.engine.container import Container
    from orlop.engine.location import Location

#: Fields of an update that are numbers and those that are texts; the others of Docker's mean nothing here.
_NUMBERS = (
    "BlkioWeight",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpuShares",
    "Memory",
    "MemoryReservation",
    "MemorySwap",
    "NanoCpus",
    "PidsLimit",
)
_TEXTS = ("CpusetCpus", "CpusetMems")
#: Filters that are about other systems than Linux, and let everything through on it.
_FOREIGN = ("isolation",)


class Containers:
    """The endpoints for what containers are, and what becomes of them."""

    __slots__ = ("_attachments", "_location", "_watching", "_workers")

    def __init__(self, location: Location, waiting: Attachments, watching: Watching) -> None:
        self._location = location
        self._attachments = waiting
        self._watching = watching
        self._workers = Workers({name: _by_id(location, work) for name, work in _WORKS.items()})

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Where these endpoints are."""
        yield "GET", "/containers/json", self.list
        yield "POST", "/containers/create", self.create
        yield "POST", "/containers/prune", self.prune
        yield "GET", "/containers/{id}/json", self.inspect
        yield "POST", "/containers/{id}/start", self.start
        yield "POST", "/containers/{id}/stop", self.stop
        yield "POST", "/containers/{id}/restart", self.restart
        yield "POST", "/containers/{id}/kill", self.kill
        yield "POST", "/containers/{id}/pause", self.pause
        yield "POST", "/containers/{id}/unpause", self.unpause
        yield "POST", "/containers/{id}/rename", self.rename
        yield "POST", "/containers/{id}/update", self.update
        yield "POST", "/containers/{id}/resize", self.resize
        yield "POST", "/containers/{id}/wait", self.wait
        yield "GET", "/containers/{id}/top", self.top
        yield "GET", "/containers/{id}/changes", self.changes
        yield "DELETE", "/containers/{id...}", self.remove

    async def list(self, request: Request) -> Reply:
        """The containers that run, or with ``all`` every one."""
        said = {key: values for key, values in request.filters().items() if key not in _FOREIGN}
        wanted = filters.read(words(said), container_list.tests(self._location))
        found = container_list.listed(
            self._location, wanted, everything=request.flag("all"), last=max(0, request.number("limit") or 0)
        )
        told = []
        names = container_list.ImageNames(self._location)
        for each in found:
            try:
                told.append(summaries.container(each, names))
            except NotFound:
                continue  # removed just now
        if request.flag("size"):
            sizes = await children.call(lambda _: [_sizes(each.target) for each in found])
            told = [{**each, **size} for each, size in zip(told, sizes, strict=True)]
        return json(told)

    async def create(self, request: Request) -> Reply:
        """Make one."""
        name = request.text("name")
        wanted = creation.settings(await request.json(), _given(name) if name else "", request.text("platform"))
        try:
            made = create.create(self._location, wanted)
        except ImageNotFound as error:
            if not error.image:
                error.image = wanted.image
            raise
        except NotFound as error:
            # 404 is for the image, which clients pull then.
            raise InvalidArgument(str(error)) from error
        made.leave()
        return json({"Id": made.container.id, "Warnings": made.warnings}, 201)

    async def inspect(self, request: Request) -> Reply:
        """Everything that is known of one."""
        target = self._find(request)
        repair.look_after(target)
        told = inspection.describe(target)
        if request.flag("size"):
            told.update(await children.call(lambda _: _sizes(target)))
        return json(shapes.container(told))

    async def start(self, request: Request) -> Reply:
        """Have one started; who waits for that with a terminal gets it."""
        target = self._find(request)
        if (await request.whole_body()).strip() not in (b"", b"{}", b"null"):
            raise InvalidArgument(
                "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
            )
        with self._attachments.starting(target.id):
            lock = await attachments.locked(target)
            session = await attachments.stepping(restart.starting(target, lock=lock))
            if session is None:
                return nothing(304)
            try:
                session.wait_started()
            except OrlopError as error:
                session.socket.close()
                self._attachments.failed(target.id)
                raise _start_failed(error) from None
            if not self._attachments.started(target.id, session):
                session.leave()
        return nothing()

    async def stop(self, request: Request) -> Reply:
        """Ask one to end, and see to it that it does."""
        target = self._find(request)
        if not await self._runs(target):
            return nothing(304)
        signal, patience = request.text("signal") or None, request.number("t")
        await self._workers.call("stop", target.id, patience, signal)
        return nothing()

    async def restart(self, request: Request) -> Reply:
        """Stop one if it runs, and start it."""
        target = self._find(request)
        signal, patience = request.text("signal") or None, request.number("t")
        await children.call(lambda _: restart.restart(target, patience, signal))
        return nothing()

    async def kill(self, request: Request) -> Reply:
        """Send one a signal."""
        target = self._find(request)
        signal = request.text("signal") or "SIGKILL"
        await self._workers.call("kill", target.id, signal)
        return nothing()

    async def pause(self, request: Request) -> Reply:
        """Have all of one's processes stand still."""
        await self._workers.call("pause", self._find(request).id)
        return nothing()

    async def unpause(self, request: Request) -> Reply:
        """Have them go on."""
        await self._workers.call("unpause", self._find(request).id)
        return nothing()

    async def rename(self, request: Request) -> Reply:
        """Give one another name."""
        name = request.text("name")
        if not name:
            raise InvalidArgument("Neither old nor new names may be empty")
        target, wanted = self._find(request), _given(name)
        await children.call(lambda _: rename.rename(target, wanted))  # which may have to wait for who copies files
        return nothing()

    async def update(self, request: Request) -> Reply:
        """Change one's limits and what is done at its end."""
        said = Fields(await request.json())
        target = self._find(request)
        changes: dict[str, Any] = {name: said.number(name) for name in _NUMBERS if said.number(name)}
        changes.update({name: said.text(name) for name in _TEXTS if said.text(name)})
        if said.inner("RestartPolicy").text("Name"):
            changes["RestartPolicy"] = host_objects.restart_policy(said)
        await children.call(lambda _: update.update(target, changes))
        return json({"Warnings": []})

    async def resize(self, request: Request) -> Reply:
        """Set the size of one's terminal."""
        rows, columns = request.size()
        control.resize(self._find(request), rows, columns)
        return nothing(200)

    async def wait(self, request: Request) -> Reply | Stream:
        """Wait until one does not run, ends the next time, or is removed; the answer begins at once."""
        target = self._find(request)
        condition = request.text("condition") or control.NOT_RUNNING
        if condition not in control.CONDITIONS:
            raise InvalidArgument(f'invalid condition: "{condition}"')
        steps = control.waiting(target, condition, self._watching.watch)
        try:
            first = next(steps)
        except StopIteration as done:
            return json({"StatusCode": int(done.value)})

        async def follow() -> AsyncIterator[bytes]:
            try:
                code = await _walk(first, steps)
            except NotFound as error:
                yield json({"StatusCode": -1, "Error": {"Message": str(error)}}).body
                return
            finally:
                steps.close()
            yield json({"StatusCode": code}).body

        return Stream(follow())

    async def top(self, request: Request) -> Reply:
        """The processes of one, as ps shows them."""
        from orlop.engine import top

        target = self._find(request)
        options = request.text("ps_args", "-ef").split()

        def work(_: children.Tell) -> dict[str, Any]:
            found = top.processes(target, options)
            return {"Titles": found.titles, "Processes": found.processes}

        return json(await children.call(work))

    async def changes(self, request: Request) -> Reply:
        """What one has changed of its image's files."""
        from orlop.engine import differences

        target = self._find(request)

        def work(_: children.Tell) -> list[dict[str, Any]]:
            return [{"Path": each.path, "Kind": each.kind} for each in differences.differences(target)]

        return json(await children.call(work) or None)

    async def remove(self, request: Request) -> Reply:
        """Remove one; with ``link`` only a name that another one has for it."""
        if request.flag("link"):
            name = f"/{request.arguments['id'].removeprefix('/')}"
            await children.call(lambda _: links.remove(self._location, name))
            return nothing()
        target = self._find(request)
        force, volumes = request.flag("force"), request.flag("v")
        try:
            await self._workers.call("remove", target.id, force, volumes)
        except Conflict as error:
            if target.state()["Status"] in container.LIVES and not force:
                raise Conflict(
                    f'cannot remove container "/{target.name}": container is running: stop the container before '
                    "removing or force remove"
                ) from None
            raise error from None
        return nothing()

    async def prune(self, request: Request) -> Reply:
        """Remove those that do not run."""
        wanted = filters.read(words(request.filters()), prune.tests_of_containers())

        def work(_: children.Tell) -> dict[str, Any]:
            done = prune.containers(self._location, wanted)
            return {"ContainersDeleted": list(done.names), "SpaceReclaimed": done.freed}

        return json(await children.call(work))

    def _find(self, request: Request) -> Container:
        return find(self._location, request.arguments["id"])

    async def _runs(self, target: Container) -> bool:
        repair.look_after(target)
        return target.state()["Status"] in container.LIVES


def _remove(target: Container, force: bool, volumes: bool) -> None:
    removal.remove(target, force=force, with_volumes=volumes)


#: What is done so often that a fork for each would count.
_WORKS: dict[str, Callable[..., None]] = {
    "kill": signalling.kill,
    "pause": pausing.pause,
    "remove": _remove,
    "stop": signalling.stop,
    "unpause": pausing.unpause,
}


def _by_id(location: Location, work: Callable[..., None]) -> Callable[..., None]:
    """What is done to a container, for who knows only its id."""

    def do(container_id: str, *arguments: object) -> None:
        work(container.Container(location, container_id), *arguments)

    return do


def find(location: Location, name: str) -> Container:
    """The container that a client means.

    Raises:
        NotFound: there is none.
    """
    try:
        return container.find(location, name.removeprefix("/"))
    except NotFound:
        raise NotFound(f"no such container: {name}") from None


def _given(name: str) -> str:
    """A name that a client gives to a container, without the slash that Docker's have.

    Raises:
        InvalidArgument: there is nothing behind it.
    """
    if name == "/":
        raise InvalidArgument(f'invalid container name "{name}": it is empty')
    return name.removeprefix("/")


async def _walk(step: tuple[int, float | None], steps: Iterator[tuple[int, float | None]]) -> int:
    """Go through the steps of `orlop.engine.control.waiting`, the first of which was taken."""
    while True:
        await attachments.until_readable(*step)
        try:
            step = next(steps)
        except StopIteration as done:
            return int(done.value)


def _sizes(target: Container) -> dict[str, int]:
    from orlop.engine import container_size

    size = container_size.of(target)
    return {"SizeRw": size.own, "SizeRootFs": size.whole}


def _start_failed(error: OrlopError) -> OrlopError:
    """What clients look for in the words of a start that failed for the program's sake."""
    if error.exit_code in (126, 127):
        made = InvalidArgument(
            f"failed to create task for container: OCI runtime create failed: unable to start container process: {error}"
        )
        made.exit_code = error.exit_code
        return made
    return error
