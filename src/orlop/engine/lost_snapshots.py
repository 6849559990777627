"""What containers stand on is there again, if the machine went down before it was on the disk."""

from __future__ import annotations

import os

from orlop.engine import image_store
from orlop.errors import DigestMismatch, ImageNotFound, InvalidArchive, InvalidImage, NotFound, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container
    from orlop.storage.store import Storage

#: What says that the image cannot be made of what is here.
_NOT_WHOLE = (NotFound, InvalidImage, InvalidArchive, DigestMismatch)


def look_after(target: Container) -> None:
    """See that the images of a container that does not run are whole, before anything looks at its files.

    Raises:
        ImageNotFound: one is not, and its blobs are gone or damaged.
        OSError: the file system fails.
    """
    record = target.record
    needed = [record, *record.get("MountedImages", ())]
    storage = image_store.open_storage(target.location)
    for each in needed:
        if each.get("Manifest") and each.get("Top") and not storage.snapshots.has(each["Top"]):
            restore(storage, each["Manifest"], each["Image"])


def restore(storage: Storage, manifest: str, image: str) -> None:
    """Unpack again what is missing of an image, and wait until it is on the disk.

    Raises:
        ImageNotFound: its blobs are not all there, or damaged.
        OSError: the file system fails.
    """

    def act() -> None:
        from orlop.images import restore
        from orlop.storage import unwritten

        restore.restore(storage, manifest)
        unwritten.settle(storage)

    try:
        if storage.rootless and os.geteuid() != 0:
            from orlop.engine import own_namespace

            try:
                own_namespace.run(act)  # there are files of other ids than the user's
            except OrlopError as error:
                raise NotFound(str(error)) from None
        else:
            act()
    except _NOT_WHOLE as error:
        raise ImageNotFound(f"the image {image} is not whole: pull it again ({error})") from None
