"""The images of an engine: where they are, and with which storage driver they are kept."""

from __future__ import annotations

from orlop.images.store import ImageStore
from orlop.storage.store import Storage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location


def open_storage(location: Location) -> Storage:
    """The blobs and snapshots of an engine. Its directories are made when first needed.

    Raises:
        InvalidArgument: ORLOP_STORAGE_DRIVER names no driver, or another than the one in use.
    """
    return Storage(location.root, rootless=location.rootless)


def open_store(location: Location) -> ImageStore:
    """The images of an engine.

    Raises:
        InvalidArgument: ORLOP_STORAGE_DRIVER names no driver, or another than the one in use.
    """
    return ImageStore(open_storage(location))
