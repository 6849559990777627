"""What an engine's images, containers and volumes take on the disk, and what of it could be freed."""

from __future__ import annotations

import os

from orlop.engine import container, container_snapshots, image_use, volume_store
from orlop.errors import NotFound, OrlopError
from orlop.images import reachable
from orlop.storage import usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.engine.location import Location
    from orlop.images.store import Image, ImageStore
    from orlop.storage.store import Storage


class Kind:
    """One kind of things: how many there are, how many are in use, their bytes, and how many of these could be freed."""

    __slots__ = ("active", "name", "reclaimable", "size", "total")

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0
        self.active = 0
        self.size = 0
        self.reclaimable = 0


class Usage:
    """All of it: the ``kinds``, and the single images, containers and volumes with their sizes."""

    __slots__ = ("containers", "images", "kinds", "volumes")

    def __init__(self) -> None:
        self.kinds: list[Kind] = []
        #: Of each image the bytes that others share with it, those that are its own, and its containers.
        self.images: list[tuple[Image, int, int, int]] = []
        #: Of each container its bytes.
        self.containers: list[tuple[container.Container, int]] = []
        #: Of each volume its name, its bytes, and how many containers have it.
        self.volumes: list[tuple[str, int, int]] = []


def of_engine(location: Location, images: ImageStore) -> Usage:
    """Find out what everything takes; reads the directories of all containers and volumes.

    Raises:
        OrlopError: a record is damaged.
        OSError: something cannot be read.
    """
    found = Usage()
    found.kinds = [_images(location, images, found), _containers(location, images.storage, found)]
    found.kinds.append(_volumes(location, found))
    found.kinds.append(_builds(location))
    return found


class _Contents:
    """Blobs and snapshots with their sizes; each is looked up once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._sizes: dict[str, int] = {}

    def of(self, image: Image) -> set[str]:
        """What an image consists of: digests of blobs, and names of snapshots with a mark before them."""
        parts = reachable.blobs_of(self._storage.blobs, image.manifests)
        try:
            parts |= {f"snapshot {name}" for name in image.config.chain_ids}
        except OrlopError:
            pass  # removed meanwhile, or damaged: 'orlop system check' tells of that
        return parts

    def size(self, parts: Iterable[str]) -> int:
        return sum(self._size(part) for part in parts)

    def _size(self, part: str) -> int:
        if part not in self._sizes:
            try:
                if part.startswith("snapshot "):
                    self._sizes[part] = self._storage.snapshots.usage(part.removeprefix("snapshot ")).bytes
                else:
                    self._sizes[part] = os.stat(self._storage.blobs.path(part)).st_blocks * 512
            except (NotFound, FileNotFoundError):
                self._sizes[part] = 0
        return self._sizes[part]


def _images(location: Location, images: ImageStore, found: Usage) -> Kind:
    kind = Kind("Images")
    contents = _Contents(images.storage)
    everything = [(image, contents.of(image)) for image in images.images()]
    holders: dict[str, int] = {}
    for _, parts in everything:
        for part in parts:
            holders[part] = holders.get(part, 0) + 1
    used: set[str] = set()
    for image, parts in everything:
        containers = len(image_use.containers_of(location, image.id))
        kind.total += 1
        if containers:
            kind.active += 1
            used |= parts
        own = contents.size(part for part in parts if holders[part] == 1)
        found.images.append((image, contents.size(parts) - own, own, containers))
    kind.size = contents.size(holders)
    kind.reclaimable = contents.size(holders.keys() - used)
    return kind


def _containers(location: Location, storage: Storage, found: Usage) -> Kind:
    kind = Kind("Containers")
    counted: set[str] = set()  # what containers saved, and forks of each other share
    for container_id in container.every_id(location):
        target = container.Container(location, container_id)
        try:
            size = _tree(target.directory)
            if target.record.get("Top") is not None and storage.snapshots.has(container_id):
                size += storage.snapshots.usage(container_id).bytes
                layers = container_snapshots.own_layers(storage.snapshots, container_id, target.record)
                size += sum(storage.snapshots.usage(each).bytes for each in layers if each not in counted)
                counted.update(layers)
            running = target.state()["Running"]
        except (NotFound, FileNotFoundError):
            continue  # removed meanwhile
        found.containers.append((target, size))
        kind.total += 1
        kind.active += running
        kind.size += size
        kind.reclaimable += 0 if running else size
    return kind


def _volumes(location: Location, found: Usage) -> Kind:
    kind = Kind("Local Volumes")
    holders: dict[str, int] = {}
    for target, _ in found.containers:
        for each in target.record.get("Mounts", ()):
            if each["Type"] == "volume":
                holders[each["Name"]] = holders.get(each["Name"], 0) + 1
    for name in volume_store.names(location):
        try:
            size = _tree(f"{location.volumes}/{name}")
        except FileNotFoundError:
            continue  # removed meanwhile
        found.volumes.append((name, size, holders.get(name, 0)))
        kind.total += 1
        kind.active += name in holders
        kind.size += size
        kind.reclaimable += 0 if name in holders else size
    return kind


def _builds(location: Location) -> Kind:
    kind = Kind("Build Cache")
    if os.path.isdir(f"{location.root}/build"):
        from orlop.engine.building import store

        for item in store.items(location):
            kind.total += 1
            kind.active += item.is_busy
            kind.size += item.size
            kind.reclaimable += 0 if item.is_busy else item.size
    return kind


def _tree(directory: str) -> int:
    return usage.of_tree(directory).bytes
