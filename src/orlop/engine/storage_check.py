"""Verifying everything that an engine stores: the index of images, their blobs and snapshots, and what containers need."""

from __future__ import annotations

import os
import time

from orlop.engine import image_use
from orlop.errors import OrlopError
from orlop.images import index, reachable, reference, restore
from orlop.storage import check, unwritten
from orlop.storage.problem import Needed, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.engine.location import Location
    from orlop.images.store import Image, ImageStore


def verify(
    location: Location,
    images: ImageStore,
    *,
    repair: bool = False,
    verified: Callable[[str, int], None] | None = None,
) -> list[Problem]:
    """Look for what is damaged, missing or left over; with ``repair`` put right what can be.

    Damaged blobs can only be had again by a pull or a load. A snapshot that is missing is unpacked again if the blobs of
    its image are there. ``verified`` is told of each blob that was read: its digest and size.

    Raises:
        OrlopError: a container's record is damaged.
        OSError: something cannot be looked at, or not be repaired.
    """
    problems = _check_index(images, repair=repair)
    if problems and not repair:
        return problems  # what is needed is not known
    problems += check.check(images.storage, _needed(location, images), repair=repair, verified=verified)
    if repair:
        problems += [problem for image in images.images() for problem in _unpack_again(images, image)]
        unwritten.settle(images.storage)
    return problems


def _check_index(images: ImageStore, *, repair: bool) -> list[Problem]:
    directory = images.storage.blobs.directory
    try:
        index.read(directory)
    except OrlopError:
        path = f"{directory}/{index.INDEX_FILE}"
        aside = f"{path}.damaged-{time.time_ns()}"
        if repair:
            os.rename(path, aside)
        done = f"moved to {os.path.basename(aside)}, and the images have no names" if repair else "moved aside"
        return [Problem.of("file index.json", path, "is damaged", done, repaired=repair)]
    return []


def _needed(location: Location, images: ImageStore) -> Needed:
    blobs: dict[str, str] = {}
    snapshots: dict[str, str] = {}
    store = images.storage.blobs
    used = image_use.in_use(location)
    for manifest in used.manifests:
        blobs.update(dict.fromkeys(reachable.blobs_of(store, [manifest]), "a container"))
    snapshots.update(dict.fromkeys(used.snapshots, "a container"))
    for image in images.images():
        user = f"image {_called(image)}"
        blobs.update(dict.fromkeys(reachable.blobs_of(store, image.manifests) | {image.id}, user))
        try:
            snapshots.update(dict.fromkeys(image.config.chain_ids, user))
        except OrlopError:
            if image.top:
                snapshots[image.top] = user  # its configuration is among the blobs that are found damaged
    return Needed(blobs, snapshots)


def _called(image: Image) -> str:
    return reference.parse(image.names[0]).familiar if image.names else image.id[7:19]


def _unpack_again(images: ImageStore, image: Image) -> list[Problem]:
    """Have the snapshots of an image whose blobs are all there."""
    storage = images.storage
    with storage.leases.take() as lease:
        try:
            chain_ids = image.config.chain_ids
            lease.hold_snapshot(*chain_ids)
            missing = [chain_id for chain_id in chain_ids if not storage.snapshots.has(chain_id)]
            if not missing or not all(
                storage.blobs.has(each) for each in reachable.blobs_of(storage.blobs, [image.manifest])
            ):
                return []
            restore.restore(storage, image.manifest)
        except OrlopError:
            return []  # what is wrong with it was found already
    return [Problem.of(f"snapshot {name}", "", "was missing", "unpacked again", repaired=True) for name in missing]
