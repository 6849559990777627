"""Taking away the blobs and snapshots that neither an image nor a container needs any more."""

from __future__ import annotations

from orlop.engine import image_use
from orlop.errors import DigestMismatch, InvalidArchive, InvalidImage, OrlopError, Unsupported
from orlop.images import index, reachable
from orlop.storage import collect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

    from orlop.engine.location import Location
    from orlop.images.store import Image, ImageStore
    from orlop.storage.collect import Marked, Swept


def everything(location: Location, images: ImageStore, *, downloads: bool = False) -> Swept:
    """Sweep the whole store; with ``downloads`` interrupted downloads too, however new.

    Raises:
        OrlopError: what images or containers need is not known, because a record is damaged. Nothing was removed.
        OSError: something cannot be removed.
    """
    images.storage.prepare()
    return collect.sweep(images.storage, lambda: _marked(location, images), everything=downloads)


def after(location: Location, images: ImageStore, gone: Image) -> Swept:
    """Sweep only what an image consisted of that was removed from the index.

    Raises:
        OrlopError: what images or containers need is not known, because a record is damaged. Nothing was removed.
        OSError: something cannot be removed.
    """
    blobs = reachable.blobs_of(images.storage.blobs, gone.manifests) | {gone.id}
    try:
        snapshots = gone.config.chain_ids
    except OrlopError:
        snapshots = [gone.top]  # the configuration is damaged or gone; a full sweep finds the others
    return collect.sweep(images.storage, lambda: _marked(location, images), blobs=blobs, snapshots=snapshots)


def blobs(location: Location, images: ImageStore, digests: Collection[str]) -> Swept:
    """Sweep only these blobs.

    Raises:
        OrlopError: what images or containers need is not known, because a record is damaged. Nothing was removed.
        OSError: something cannot be removed.
    """
    return collect.sweep(images.storage, lambda: _marked(location, images), blobs=digests, snapshots=())


class after_failure:  # noqa: N801 - used like a function, as contextlib's are
    """``with after_failure(location, images):`` what was refused leaves nothing behind.

    What was merely interrupted stays for a day, so that the next attempt goes on from there.
    """

    __slots__ = ("_images", "_location")

    def __init__(self, location: Location, images: ImageStore) -> None:
        self._location = location
        self._images = images

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, (DigestMismatch, InvalidArchive, InvalidImage, Unsupported)):
            everything(self._location, self._images)


def _marked(location: Location, images: ImageStore) -> Marked:
    """What must stay. The containers are asked first: one that is being made holds a lease until it can be seen."""
    used = image_use.in_use(location)
    entries = index.read(images.storage.blobs.directory)
    manifests = used.manifests | {entry.digest for entry in entries}
    snapshots = used.snapshots | {entry.top for entry in entries if entry.top}
    return collect.Marked(reachable.blobs_of(images.storage.blobs, manifests), snapshots)
