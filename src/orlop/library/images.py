"""The images of an engine."""

from __future__ import annotations

import os

from orlop.engine import image_store, output_file
from orlop.errors import ImageNotFound, NotFound
from orlop.library import errand
from orlop.library.entries import Repository, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from orlop.engine.location import Location
    from orlop.images import store


class Image:
    """What an image is, at the time it was asked for.

    ``tags`` and ``digests`` are its names, in Docker's short form; ``size`` is in bytes, unpacked; ``created`` RFC 3339.
    """

    __slots__ = ("_image", "_location", "created", "digests", "id", "size", "tags")

    def __init__(self, location: Location, image: store.Image) -> None:
        from orlop.images import reference

        self._location = location
        self._image = image
        self.id = image.id
        self.tags = [reference.parse(name).familiar for name in image.tags]
        self.digests = [reference.parse(name).familiar for name in image.digests]
        self.size = image.size
        self.created = image.created

    @property
    def short_id(self) -> str:
        """The first 12 digits of its ID."""
        return self.id.removeprefix("sha256:")[:12]

    @property
    def labels(self) -> dict[str, str]:
        """Its labels.

        Raises:
            NotFound: it was removed.
        """
        return dict(self._image.config.config.labels)

    def inspect(self) -> dict[str, Any]:
        """Everything that is known of it, in the words of Docker's API.

        Raises:
            NotFound: it was removed.
        """
        from orlop.engine import image_inspection

        return image_inspection.describe(image_store.open_store(self._location), self._image)

    def history(self) -> list[Step]:
        """How it was made, the first step first.

        Raises:
            NotFound: it was removed.
        """
        sizes = iter(self._image.layers)
        return [
            Step(each.created, each.created_by, each.comment, 0 if each.empty_layer else next(sizes, 0))
            for each in self._image.config.history
        ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Image {self.short_id} {' '.join(self.tags)}>"


class RemovedImages:
    """What a removal did: names that were ``untagged``, digests that were ``deleted``, and ``freed`` bytes."""

    __slots__ = ("deleted", "freed", "untagged")

    def __init__(self, untagged: Sequence[str], deleted: Sequence[str], freed: int) -> None:
        self.untagged = untagged
        self.deleted = deleted
        self.freed = freed


class Images:
    """What ``engine.images`` is. Names are as for Docker: ``debian:bookworm``, ``registry.example/team/app@sha256:…``."""

    __slots__ = ("_location", "_settle")

    def __init__(self, location: Location, settle: Callable[[], object]) -> None:
        self._location = location
        #: Waits until programs that have ended hold nothing any more.
        self._settle = settle

    def get(self, name: str) -> Image:
        """The image of a name, or of an ID or its beginning.

        Raises:
            ImageNotFound: there is none here.
        """
        return find(self._location, name)

    def list(self) -> list[Image]:
        """All images, newest first."""
        return [Image(self._location, each) for each in image_store.open_store(self._location).images()]

    def pull(
        self,
        name: str,
        *,
        platform: str = "",
        progress: Callable[[str, str, int | None, int | None], object] | None = None,
    ) -> Image:
        """Get an image from its registry.

        ``progress`` is called with a layer's short digest, what happens to it, and how many bytes of how many are done;
        or with an empty one and a line of text.

        Raises:
            ImageNotFound: the registry has no such image.
            RegistryError: it refuses, or cannot be reached; Unauthorized for lack of a login.
            InvalidReference: it is no name.
        """
        return find(self._location, pull(self._location, name, platform, progress))

    def push(self, name: str, *, progress: Callable[[str, str, int | None, int | None], object] | None = None) -> Image:
        """Send an image to the registry that its name says; afterwards ``digests`` has its name there.

        Raises:
            ImageNotFound: there is no such image here.
            RegistryError: the registry refuses or cannot be reached; Unauthorized for lack of a login.
        """
        errand.call(self._location, "push", {"name": name}, tell=progress)
        return find(self._location, name)

    def search(self, term: str, *, registry: str = "docker.io", limit: int = 25) -> Sequence[Repository]:
        """What a registry has for some words.

        Raises:
            RegistryError: it cannot be reached, or has no search.
        """
        arguments = {"term": term, "registry": registry, "limit": limit}
        return [Repository(*each) for each in errand.call(self._location, "search", arguments)]

    def tag(self, name: str, target: str) -> None:
        """Give an image a further name.

        Raises:
            ImageNotFound: there is no such image.
            InvalidReference: the target can be no tag.
        """
        from orlop.engine import image_transfer

        image_transfer.tag(self._location, name, target)

    def remove(self, name: str, *, force: bool = False) -> RemovedImages:
        """Take a name from an image, and with its last one the image away.

        Raises:
            ImageNotFound: there is no such image.
            Conflict: a container uses it.
        """
        self._settle()
        return RemovedImages(*errand.call(self._location, "remove_image", {"name": name, "force": force}))

    def prune(self, *, all: bool = False) -> RemovedImages:  # noqa: A002 - Docker's word
        """Remove images without a name that no container uses; with ``all`` those with names, too."""
        self._settle()
        return RemovedImages(*errand.call(self._location, "prune_images", {"everything": all}))

    def load(self, path: str | os.PathLike[str], *, platform: str = "") -> Sequence[Image]:
        """Get images out of an archive, or an OCI image layout's directory.

        Raises:
            InvalidArchive: it is damaged, or none.
            OSError: it cannot be read.
        """
        path = os.fspath(path)
        arguments = {"source": os.path.abspath(path), "platform": platform}
        if os.path.isdir(path):
            found = errand.call(self._location, "load", arguments)
        else:
            with open(path, "rb", buffering=0) as file:
                found = errand.call(self._location, "load", arguments, descriptors=[file.fileno()])
        return [find(self._location, each) for each in found]

    def save(self, names: str | Sequence[str], path: str | os.PathLike[str], *, format: str = "docker-archive") -> None:  # noqa: A002
        """Write images to an archive that `load` and other tools read, in the ``docker-archive`` or ``oci-archive`` form.

        Raises:
            ImageNotFound: there is no such image.
        """
        arguments = {"names": [names] if isinstance(names, str) else list(names), "format": format}
        with output_file.written(path) as descriptor:
            errand.call(self._location, "save", arguments, descriptors=[descriptor])

    def import_(
        self,
        path: str | os.PathLike[str],
        name: str = "",
        *,
        changes: Sequence[str] = (),
        message: str = "",
        platform: str = "",
    ) -> Image:
        """Make an image of a file system's archive; ``changes`` are lines of a Dockerfile.

        Raises:
            InvalidArchive: it is damaged, or none.
        """
        arguments = {
            "source": os.fspath(path),
            "name": name,
            "changes": list(changes),
            "message": message,
            "platform": platform,
        }
        with open(path, "rb", buffering=0) as file:
            return find(self._location, errand.call(self._location, "import", arguments, descriptors=[file.fileno()]))


def pull(
    location: Location,
    name: str,
    platform: str = "",
    progress: Callable[[str, str, int | None, int | None], object] | None = None,
) -> str:
    """Get an image from its registry; its ID.

    Raises:
        ImageNotFound: the registry has no such image.
        OrlopError: as `Images.pull`.
    """
    try:
        return str(errand.call(location, "pull", {"name": name, "platform": platform}, tell=progress))
    except NotFound as error:
        raise _missing(name, error) from None


def find(location: Location, name: str) -> Image:
    """The image of a name or an ID.

    Raises:
        ImageNotFound: there is none here.
    """
    try:
        return Image(location, image_store.open_store(location).find(name))
    except NotFound as error:
        raise _missing(name, error) from None


def _missing(name: str, error: NotFound) -> ImageNotFound:
    found = ImageNotFound(str(error))
    found.image = name
    return found
