"""``/images`` and ``/commit``: listed, described, named, removed and made of containers; those that travel are in `image_transfers`."""

from __future__ import annotations

from orlop import ago, clock, filters
from orlop.api import children, summaries
from orlop.api.endpoints.containers import find
from orlop.api.exchange import json, nothing
from orlop.api.fields import Fields
from orlop.api.filtering import words
from orlop.api.image_names import named
from orlop.api.parents import Parents
from orlop.api.shapes import filled
from orlop.engine import (
    image_filters,
    image_inspection,
    image_removal,
    image_store,
    image_transfer,
)
from orlop.errors import ImageNotFound, InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from orlop.api.exchange import Reply, Request
    from orlop.api.routes import Endpoint
    from orlop.engine.image_removal import Removed
    from orlop.engine.location import Location
    from orlop.images.store import Image, ImageStore


#: How many images a search tells of unless it says so, and at most.
_SEARCHED = 25
_MOST_SEARCHED = 100


class Images:
    """The endpoints for images that are here."""

    __slots__ = ("_location",)

    def __init__(self, location: Location) -> None:
        self._location = location

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Where these endpoints are."""
        yield "GET", "/images/json", self.list
        yield "GET", "/images/search", self.search
        yield "POST", "/images/prune", self.prune
        yield "GET", "/images/{name...}/json", self.inspect
        yield "GET", "/images/{name...}/history", self.history
        yield "POST", "/images/{name...}/tag", self.tag
        yield "DELETE", "/images/{name...}", self.remove
        yield "POST", "/commit", self.commit

    async def list(self, request: Request) -> Reply:
        """All images that the filters let through."""
        store = self._store()
        said = request.filters()
        patterns = said.get("reference", [])
        wanted = filters.read(words(said), image_filters.known(store))
        matches = image_filters.name_matcher(patterns) if patterns else None
        told = []
        images = list(store.images())
        parents = Parents(images)
        for image in images:
            if not wanted(image):
                continue
            try:
                each = {**summaries.image(image), "ParentId": parents.of(image)}
            except NotFound:
                continue  # removed just now
            if matches is not None:
                each["RepoTags"] = [name for name in each["RepoTags"] if matches(name)]
                each["RepoDigests"] = [name for name in each["RepoDigests"] if matches(name)]
            told.append(each)
        return json(filled(told))

    async def inspect(self, request: Request) -> Reply:
        """Everything that is known of one."""
        store = self._store()
        image = self._find(store, request.arguments["name"])
        parent = Parents(store.images()).of(image)
        return json(filled({**image_inspection.describe(store, image), "Parent": parent}))

    async def history(self, request: Request) -> Reply:
        """The steps that made one, the last first."""
        image = self._find(self._store(), request.arguments["name"])
        sizes = iter(image.layers)
        told: list[dict[str, Any]] = []
        for step in image.config.history:
            created = clock.in_utc(step.created)
            told.append(
                {
                    "Id": "<missing>",
                    "Created": ago.seconds(created) if created else 0,
                    "CreatedBy": step.created_by,
                    "Tags": None,
                    "Size": 0 if step.empty_layer else next(sizes, 0),
                    "Comment": step.comment,
                }
            )
        if told:
            told[-1].update(Id=image.id, Tags=_names(image.tags) or None)
        return json(told[::-1])

    async def tag(self, request: Request) -> Reply:
        """Give one a further name."""
        source, target = request.arguments["name"], named(request.text("repo"), request.text("tag"))
        self._find(self._store(), source)
        image_transfer.tag(self._location, source, target)
        return nothing(201)

    async def remove(self, request: Request) -> Reply:
        """Remove one, or one of its names."""
        name, force, keeps = request.arguments["name"], request.flag("force"), request.flag("noprune")
        self._find(self._store(), name)

        def work(_: children.Tell) -> list[dict[str, str]]:
            done = image_removal.remove(self._location, self._store(), name, force=force, prune=not keeps)
            return _told(done)

        return json(await children.call(work))

    async def prune(self, request: Request) -> Reply:
        """Remove those without a name, with a filter ``dangling=false`` all that no container uses."""
        said = request.filters()
        dangling = said.pop("dangling", [])
        for value in dangling:
            if value.lower() not in ("true", "1", "false", "0"):
                raise InvalidArgument(f"invalid filter 'dangling={value}': must be true or false")
        only_dangling = all(value.lower() not in ("false", "0") for value in dangling)

        def work(_: children.Tell) -> dict[str, Any]:
            images = self._store()
            wanted = filters.read(words(said), image_filters.known(images))
            chosen = [each for each in images.images() if wanted(each) and not (only_dangling and each.tags)]
            done = image_removal.prune(self._location, images, chosen)
            return {"ImagesDeleted": _told(done), "SpaceReclaimed": done.freed}

        return json(await children.call(work))

    async def search(self, request: Request) -> Reply:
        """Images that a registry knows."""
        term = request.text("term")
        if not term:
            raise InvalidArgument("the term to search for is needed")
        limit = request.number("limit", 0) or _SEARCHED
        if not 1 <= limit <= _MOST_SEARCHED:
            raise InvalidArgument(f"Limit {limit} is outside the range of [1, {_MOST_SEARCHED}]")

        def work(_: children.Tell) -> list[dict[str, Any]]:
            from contextlib import closing

            from orlop.images.registry.client import Registry
            from orlop.images.registry.search import search

            with closing(Registry("docker.io")) as registry:
                return [
                    {
                        "name": each.name,
                        "description": each.description,
                        "star_count": max(0, each.stars),
                        "is_official": each.is_official,
                        "is_automated": False,
                    }
                    for each in search(registry, term, limit)
                ]

        return json(await children.call(work))

    async def commit(self, request: Request) -> Reply:
        """Make an image of what a container has changed."""
        said = Fields(await request.json(needed=False))
        if not request.text("container"):
            raise InvalidArgument('invalid name or ID supplied: ""')
        target = find(self._location, request.text("container"))
        name = request.text("repo")
        if name:
            name = named(name, request.text("tag"))
        changes = [line for text in request.texts("changes") for line in text.split("\n") if line.strip()]
        author, comment, pause = request.text("author"), request.text("comment"), request.flag("pause", default=True)
        changes = [*_configured(said), *changes]

        def work(_: children.Tell) -> str:
            from orlop.engine import commit
            from orlop.images.commit import Description

            made = commit.commit(target, name, Description(author, comment, changes), pause=pause)
            return str(made.image.id)

        return json({"Id": await children.call(work)}, 201)

    def _store(self) -> ImageStore:
        return image_store.open_store(self._location)

    def _find(self, store: ImageStore, name: str) -> Image:
        try:
            return store.find(name)
        except NotFound as error:
            missing = ImageNotFound(str(error))
            missing.image = name
            raise missing from None


def _names(tags: list[str]) -> list[str]:
    from orlop.images import reference

    return [reference.parse(name).familiar for name in tags]


def _told(done: Removed) -> list[dict[str, str]]:
    return [*({"Untagged": each} for each in _names(done.untagged)), *({"Deleted": each} for each in done.deleted)]


def _configured(said: Fields) -> list[str]:
    """The configuration that a commit gives its image, as instructions of a Dockerfile."""
    from orlop import json_text

    found = [
        f"ENV {name}={json_text.dumps(value)}" for name, _, value in (text.partition("=") for text in said.texts("Env"))
    ]
    for field, instruction in (("Cmd", "CMD"), ("Entrypoint", "ENTRYPOINT")):
        command = said.words(field)
        if command is not None:
            found.append(f"{instruction} {json_text.dumps(command)}")
    for field, instruction in (("User", "USER"), ("WorkingDir", "WORKDIR"), ("StopSignal", "STOPSIGNAL")):
        if said.text(field):
            found.append(f"{instruction} {said.text(field)}")
    found += [f"EXPOSE {port}" for port in said.names("ExposedPorts")]
    found += [f"VOLUME {json_text.dumps([volume])}" for volume in said.names("Volumes")]
    found += [f"LABEL {json_text.dumps(key)}={json_text.dumps(value)}" for key, value in said.pairs("Labels").items()]
    return found
