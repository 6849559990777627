"""What a container's own files take on the disk, and all that it sees."""

from __future__ import annotations

from orlop.engine import image_store
from orlop.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container


class Size:
    """Bytes: ``own`` is what the container wrote, ``whole`` that and its image's layers, in Docker's words virtual."""

    __slots__ = ("own", "whole")

    def __init__(self, own: int, whole: int) -> None:
        self.own = own
        self.whole = whole


def of(target: Container) -> Size:
    """Count a container's files; for one that is not of an image there are none of its own. Volumes do not count.

    An ordinary user has to be in their namespace.

    Raises:
        OSError: something cannot be read.
    """
    if not target.record.get("RootMounts"):
        return Size(0, 0)
    snapshots = image_store.open_storage(target.location).snapshots
    try:
        own = snapshots.usage(target.id).bytes
        name = snapshots.info(target.id).parent
        while name and name != target.record["Top"]:  # what it wrote before a snapshot of it was made
            own += snapshots.usage(name).bytes
            name = snapshots.info(name).parent
        whole = own
        while name:
            whole += snapshots.usage(name).bytes
            name = snapshots.info(name).parent
    except NotFound:
        return Size(0, 0)  # removed meanwhile
    return Size(own, whole)
