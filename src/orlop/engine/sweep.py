"""Taking away the blobs and snapshots that neither an image nor a container needs any more."""

from __future__ import annotations

import os

from orlop.engine import container, image_use, monitor_lock
from orlop.errors import DigestMismatch, InsufficientSpace, InvalidArchive, InvalidImage, OrlopError, Unsupported
from orlop.images import index, reachable, unpack
from orlop.storage import collect, ingest, named_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

    from orlop.engine.location import Location
    from orlop.images.store import Image, ImageStore
    from orlop.storage.collect import Marked, Swept


#: Errors after which trying again brings the same.
_FINAL = (DigestMismatch, InsufficientSpace, InvalidArchive, InvalidImage, Unsupported)


def everything(location: Location, images: ImageStore, *, downloads: bool = False) -> Swept:
    """Sweep the whole store; with ``downloads`` interrupted downloads too, however new.

    Raises:
        OrlopError: what images or containers need is not known, because a record is damaged. Nothing was removed.
        OSError: something cannot be removed.
    """
    storage = images.storage
    storage.prepare()
    named_lock.sweep(unpack.locks(storage))
    _wait_for_removals(location)
    return collect.sweep(storage, lambda: marked(location, images), everything=downloads)


def after(location: Location, images: ImageStore, gone: Image, *, finished: bool = True) -> Swept:
    """Sweep only what an image consisted of that was removed from the index.

    Unless it is to be ``finished``, the space is not freed before somebody calls `orlop.storage.collect.finish`.

    Raises:
        OrlopError: what images or containers need is not known, because a record is damaged. Nothing was removed.
        OSError: something cannot be removed.
    """
    blobs = reachable.blobs_of(images.storage.blobs, gone.manifests) | {gone.id}
    try:
        snapshots = gone.config.chain_ids
    except OrlopError:
        snapshots = [gone.top]  # the configuration is damaged or gone; a full sweep finds the others
    _wait_for_removals(location)
    return collect.sweep(
        images.storage,
        lambda: marked(location, images),
        blobs=blobs,
        snapshots=snapshots,
        finished=finished,
    )


def _wait_for_removals(location: Location) -> None:
    """Wait for those who are just clearing containers away that nobody sees any more, as monitors do with ``--rm``.

    Their snapshots stand on the images' until then, which would be kept for them, and by nobody be taken away later. What
    somebody left who was killed at that is cleared away here.
    """
    for entry in _vanished(location):
        monitor_lock.wait(location, entry.removeprefix(container.GONE))
    if _vanished(location):
        from orlop.engine import repair

        repair.everything(location)


def _vanished(location: Location) -> list[str]:
    try:
        return [entry for entry in os.listdir(location.containers) if entry.startswith(container.GONE)]
    except FileNotFoundError:
        return []  # there has never been a container


def blobs(location: Location, images: ImageStore, digests: Collection[str]) -> Swept:
    """Sweep only these blobs.

    Raises:
        OrlopError: what images or containers need is not known, because a record is damaged. Nothing was removed.
        OSError: something cannot be removed.
    """
    return collect.sweep(images.storage, lambda: marked(location, images), blobs=digests, snapshots=())


def broken_off(location: Location) -> None:
    """Finish what killed processes were making or taking away. Anybody may call it, at any time.

    Raises:
        OrlopError: what images or containers need is not known, because a record is damaged.
        OSError: something cannot be removed.
    """
    from orlop.engine import image_store

    images = image_store.open_store(location)

    def finish() -> None:
        _sweep_abandoned(location, images)
        index.discard_unwritten(images.storage.blobs.directory)
        ingest.sweep(images.storage.blobs, 0)  # what can be gone on with stays
        collect.finish(images.storage)

    if location.rootless:
        from orlop.engine import own_namespace

        own_namespace.run(finish)  # there are files of other ids than the user's
    else:
        finish()


class after_change:  # noqa: N801 - used like a function, as contextlib's are
    """``with after_change(location, images):`` what fails leaves nothing behind, and what was replaced goes.

    With ``resumable`` only what was refused, or had no space, leaves nothing behind: where it was merely interrupted the
    next attempt goes on from there. Replaced are manifests: an image gets another one when it is pushed or loaded with
    its layers compressed otherwise. What killed processes left half made goes first.

    Raises:
        OrlopError: the index of images is damaged.
    """

    __slots__ = ("_before", "_images", "_location", "_resumable")

    def __init__(self, location: Location, images: ImageStore, *, resumable: bool = False) -> None:
        self._location = location
        self._resumable = resumable
        self._images = images
        self._before: set[str] = set()

    def __enter__(self) -> None:
        _sweep_abandoned(self._location, self._images)
        self._before = self._images.manifests()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            _sweep_abandoned(
                self._location, self._images
            )  # perhaps we have waited for somebody who was killed meanwhile
            gone = self._before - self._images.manifests()
            if gone:
                blobs(self._location, self._images, reachable.blobs_of(self._images.storage.blobs, gone))
        elif isinstance(error, _FINAL) or not self._resumable:
            try:
                everything(self._location, self._images)
            except (OrlopError, OSError):
                pass  # what went wrong first is what the user has to know; the next sweep tells of this


def _sweep_abandoned(location: Location, images: ImageStore) -> None:
    storage = images.storage
    if storage.leases.any_abandoned():
        named_lock.sweep(unpack.locks(storage))
        collect.sweep(storage, lambda: marked(location, images), blobs=(), snapshots=())


def marked(location: Location, images: ImageStore) -> Marked:
    """What must stay: what images, containers and the cache of builds need. The containers are asked first: one that is being made holds a lease until it can be seen."""
    used = image_use.in_use(location)
    entries = index.read(images.storage.blobs.directory)
    manifests = used.manifests | {digest for entry in entries for digest in entry.documents}
    snapshots = used.snapshots | {entry.top for entry in entries if entry.top}
    blobs = reachable.blobs_of(images.storage.blobs, manifests)
    if os.path.isdir(f"{location.root}/build"):
        from orlop.engine.building import store

        kept = store.marked(location.root)
        return collect.Marked(blobs | kept[0], snapshots | kept[1])
    return collect.Marked(blobs, snapshots)
