"""What a container has changed in its image's files."""

from __future__ import annotations

import os

from orlop.engine import image_store, lost_snapshots, repair
from orlop.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container

#: Numbers of Docker's API.
MODIFIED = 0
ADDED = 1
DELETED = 2


class Difference:
    """A ``path``, and whether it was `MODIFIED` or has something new in it, `ADDED` or `DELETED`."""

    __slots__ = ("kind", "path")

    def __init__(self, path: str, kind: int) -> None:
        self.path = path
        self.kind = kind


def differences(target: Container) -> list[Difference]:
    """How a container's files differ from its image's, sorted by path. An ordinary user has to be in their namespace.

    What is mounted in the container, and the places of those mounts where the image has none, are not among them.

    Raises:
        Unsupported: the container is not one of an image.
        OrlopError: something cannot be read.
    """
    from orlop.storage.layers import changes, diff

    repair.look_after(target)
    record = target.record
    if not record.get("RootMounts"):
        raise Unsupported(f"container {target.name} has no image that its files could differ from")
    lost_snapshots.look_after(target)
    base = image_store.open_storage(target.location).snapshots.diff_base(target.id, record["Top"])
    kinds = {changes.ADDED: ADDED, changes.REMOVED: DELETED, changes.MODIFIED: MODIFIED, changes.PARENT: MODIFIED}
    found = []
    with diff.opened(base) as source:
        for change in changes.walk(source):
            if not change.path:
                continue
            path = "/" + os.fsdecode(change.path)
            found.append(Difference(path, kinds[change.kind]))
            if change.emptied and source.parent >= 0:
                found += _emptied(source.parent, change.path)
    found.sort(key=lambda each: each.path)
    return found


def _emptied(parent: int, path: bytes) -> list[Difference]:
    """What the image has in a directory that nothing is left of."""
    from orlop.linux import path as paths

    directory = paths.open_real_directory(parent, os.fsdecode(path))
    try:
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        try:
            return [Difference(f"/{os.fsdecode(path)}/{name}", DELETED) for name in os.listdir(readable)]
        finally:
            os.close(readable)
    finally:
        os.close(directory)
