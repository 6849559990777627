"""A container's root file system from an image: found by name, and a snapshot of its own on top of the image's."""

from __future__ import annotations

from orlop.engine import image_settings, image_store
from orlop.engine.settings import SCRATCH_IMAGE
from orlop.errors import ImageNotFound, InvalidArgument, NotFound
from orlop.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.engine.settings import Settings
    from orlop.images.config import ImageConfig
    from orlop.images.store import Image
    from orlop.storage.leases import Lease
    from orlop.storage.mounts import Mount
    from orlop.storage.store import Storage


class Found:
    """The image that a container is going to be made of."""

    __slots__ = ("config", "image", "storage")

    def __init__(self, storage: Storage, image: Image, config: ImageConfig) -> None:
        self.storage = storage
        self.image = image
        self.config = config


def find(location: Location, settings: Settings) -> Found:
    """The image that the settings name, for the platform that they name.

    Raises:
        ImageNotFound: it is not here, or not for that platform.
        InvalidArgument: it can be no image's name.
        Conflict: the beginning of an ID fits several images.
    """
    if settings.image == SCRATCH_IMAGE:
        raise InvalidArgument(
            "'scratch' is a reserved name: it is the image without any file, so nothing in it can be run"
        )
    storage = image_store.open_storage(location)
    try:
        image = ImageStore(storage).resolve(settings.image)
        config = image.config
    except NotFound:
        raise ImageNotFound(f"no such image: {settings.image}") from None
    if settings.platform and not image_settings.is_for(config, settings.platform):
        raise ImageNotFound(
            f"the image {settings.image} that is here is for {config.platform}, not for {settings.platform}"
        )
    return Found(storage, image, config)


def prepare(found: Found, key: str, lease: Lease) -> list[Mount]:
    """Make a container's snapshot; what to mount to see it. The lease keeps the image until the container is there.

    Raises:
        ImageNotFound: the image was removed meanwhile.
        OSError: the file system fails.
    """
    image, storage = found.image, found.storage
    lease.hold(image.manifest, image.id)
    if image.top:
        lease.hold_snapshot(image.top)
    try:
        if not storage.blobs.has(image.manifest):
            raise NotFound(image.manifest)
        return _prepare(storage, key, image.top)
    except NotFound:
        from orlop.engine import lost_snapshots

        lost_snapshots.restore(storage, image.manifest, image.id)
    try:
        return _prepare(storage, key, image.top)
    except NotFound:
        raise ImageNotFound(f"the image {image.id} is not whole: pull it again") from None


def _prepare(storage: Storage, key: str, parent: str) -> list[Mount]:
    snapshots = storage.snapshots
    try:
        return snapshots.prepare(key, parent)
    except PermissionError:
        if not storage.rootless:
            raise
    # What is to belong to another id than the user's own takes the user's namespace to make; that is seldom the case.
    from orlop.engine import own_namespace

    def prepare_inside() -> None:
        snapshots.prepare(key, parent)

    own_namespace.run(prepare_inside)
    return snapshots.mounts(key)


def remove(location: Location, key: str) -> None:
    """Remove a container's snapshot, if there is one.

    Raises:
        OSError: something of it cannot be removed.
    """
    storage = image_store.open_storage(location)
    try:
        storage.snapshots.remove(key)
    except NotFound:
        return
    except PermissionError:
        if not storage.rootless:
            raise
        from orlop.engine import own_namespace

        # It is out of sight; files of other ids than the user's are left.
        own_namespace.run(storage.snapshots.cleanup)
