"""Which images the containers of an engine use: what must not be taken from under them."""

from __future__ import annotations

from orlop.engine import container
from orlop.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from orlop.engine.location import Location


class InUse:
    """What containers need: the digests of ``manifests``, and ``snapshots``, those that they stand on or have saved."""

    __slots__ = ("manifests", "snapshots")

    def __init__(self) -> None:
        self.manifests: set[str] = set()
        self.snapshots: set[str] = set()


def in_use(location: Location) -> InUse:
    """What all containers need, those that do not run included.

    One that is being made is not among them: until it is, it holds a lease on its image.

    Raises:
        OrlopError: a container's record is damaged, so that what it uses is not known.
    """
    found = InUse()
    for _, record in _records(location):
        if record.get("Manifest"):
            found.manifests.add(record["Manifest"])
        if record.get("Top"):
            found.snapshots.add(record["Top"])
        if "Base" in record or "Snapshots" in record or "Rebase" in record:
            from orlop.engine import container_snapshots

            found.snapshots.update(container_snapshots.layers(record))
        for each in record.get("MountedImages", ()):
            found.manifests.add(each["Manifest"])
            found.snapshots.add(each["Top"])
    return found


def containers_of(location: Location, image_id: str) -> list[tuple[str, str, bool]]:
    """The containers that an image's were made from or that mount it: of each its id, its name, and whether it is running.

    Raises:
        OrlopError: a container's record is damaged, so that what it uses is not known.
    """
    found = []
    for target, record in _records(location):
        if record["Image"] == image_id or any(each["Image"] == image_id for each in record.get("MountedImages", ())):
            try:
                found.append((target.id, str(record["Name"]), bool(target.state()["Running"])))
            except NotFound:
                continue  # removed meanwhile
    return found


def _records(location: Location) -> Iterator[tuple[container.Container, dict[str, Any]]]:
    for container_id in container.every_id(location):
        target = container.Container(location, container_id)
        try:
            record = target.record
        except NotFound:
            continue  # removed meanwhile
        yield target, record
