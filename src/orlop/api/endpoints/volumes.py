"""``/volumes``."""

from __future__ import annotations

from orlop.api import children
from orlop.api.exchange import json, nothing
from orlop.api.fields import Fields
from orlop.api.filtering import words
from orlop.api.shapes import filled
from orlop.engine import prune, repair, volume_filters, volume_store
from orlop.filters import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.api.exchange import Reply, Request
    from orlop.api.routes import Endpoint
    from orlop.engine.location import Location


class Volumes:
    """The endpoints for volumes."""

    __slots__ = ("_location",)

    def __init__(self, location: Location) -> None:
        self._location = location

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Where these endpoints are."""
        yield "GET", "/volumes", self.list
        yield "POST", "/volumes/create", self.create
        yield "POST", "/volumes/prune", self.prune
        yield "GET", "/volumes/{name}", self.inspect
        yield "DELETE", "/volumes/{name}", self.remove

    async def list(self, request: Request) -> Reply:
        """All volumes that the filters let through."""
        wanted = read(words(request.filters()), volume_filters.tests(self._location))
        found = [each for each in volume_store.every(self._location) if wanted(each)]
        return json(filled({"Volumes": found, "Warnings": None}))

    async def create(self, request: Request) -> Reply:
        """Make one, or find the one of that name."""
        said = Fields(await request.json())
        made = volume_store.create(
            self._location,
            said.text("Name"),
            driver=said.text("Driver"),
            labels=said.pairs("Labels"),
            options=said.pairs("DriverOpts"),
        )
        return json(filled(made), 201)

    async def inspect(self, request: Request) -> Reply:
        """What is known of one."""
        return json(filled(volume_store.find(self._location, request.arguments["name"])))

    async def remove(self, request: Request) -> Reply:
        """Remove one; with ``force`` also one that is not there."""
        from orlop.errors import NotFound

        name = request.arguments["name"]
        try:
            await children.call(lambda _: volume_store.remove(self._location, name))
        except NotFound:
            if not request.flag("force"):
                raise
        return nothing()

    async def prune(self, request: Request) -> Reply:
        """Remove those that no container has: with a filter ``all`` also those with a name of their own."""
        chosen = request.filters()
        everything = any(value.lower() in ("1", "true") for value in chosen.pop("all", []))
        everything = everything or request.version < (1, 42)  # which did not know volumes without a name
        wanted = read(words(chosen), prune.tests_of_volumes())

        def work(_: children.Tell) -> object:
            repair.everything(self._location)
            done = prune.volumes(
                self._location, lambda each: (everything or volume_store.is_anonymous(each)) and wanted(each)
            )
            return {"VolumesDeleted": list(done.names), "SpaceReclaimed": done.freed}

        return json(await children.call(work))
