"""A new image from what a container changed in its own."""

from __future__ import annotations

from orlop.engine import events, image_store, lost_snapshots, pausing, repair, write_out
from orlop.errors import InvalidReference, NotFound, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container
    from orlop.images.commit import Description
    from orlop.images.store import Image


class Committed:
    """The new ``image``, and ``warnings`` for the user."""

    __slots__ = ("image", "warnings")

    def __init__(self, image: Image, warnings: list[str]) -> None:
        self.image = image
        self.warnings = warnings


def commit(target: Container, name: str, description: Description, *, pause: bool = True) -> Committed:
    """Make an image of a container, running or not. An ordinary user's has to be root of their own user namespace.

    ``name`` is the new image's, or empty; without a tag it gets ``latest``. With ``pause`` nothing in the container
    runs while its files are read.

    Raises:
        InvalidReference: it can be no name.
        InvalidArgument: a change of the description is malformed.
        Unsupported: the container is not one of an image.
        NotFound: the container or its image was removed.
        OrlopError, OSError: files cannot be read or stored.
    """
    from orlop.build import changes
    from orlop.images import commit as images_commit
    from orlop.images import install, reference
    from orlop.images.config import ImageConfig
    from orlop.images.manifest import Manifest
    from orlop.storage.layers import diff
    from orlop.storage.layers.compress import NONE

    repair.look_after(target)
    record = target.record
    if not record.get("Manifest"):
        raise Unsupported(f"container {target.name} cannot be committed: it runs on {record['Image']}, not on an image")
    meant = reference.parse(name).with_default_tag() if name else None
    if meant is not None and meant.digest:
        raise InvalidReference(f"cannot commit to a digest: {name}; name a tag")
    names = [str(meant)] if meant is not None else []
    starts = images_commit.execution(record["Config"])
    changes.apply(description.changes, starts)
    images = image_store.open_store(target.location)
    storage = images.storage
    warnings = []
    with storage.leases.take() as lease:
        lease.hold(record["Manifest"], record["Image"])
        try:
            below = Manifest.parse(storage.blobs.read(record["Manifest"]))
            base = ImageConfig.parse(storage.blobs.read(record["Image"]))
        except NotFound:
            raise NotFound(f"the image of container {target.name} was removed: {record['Image']}") from None
        stands_still = pausing.paused(target) if pause else _Running()
        with stands_still as stands:
            if not stands:
                warnings.append(
                    f"container {target.name} cannot be paused: files that it writes now may be half written"
                )
            lost_snapshots.look_after(target)
            layer = diff.create(storage.snapshots.diff_base(target.id, record["Top"]), storage.blobs, NONE, lease=lease)
        words = " ".join(record["Config"]["Cmd"])
        config, manifest = images_commit.derive(base, below, layer, starts, description, words)
        lease.hold(manifest.config.digest)
        storage.blobs.write(config.to_bytes())
        image = install.install(images, manifest, names, lease)
    write_out.begin(target.location)
    about = {"comment": description.comment, "imageID": image.id, "imageRef": name}
    events.of_container(target, "commit", about)
    return Committed(image, warnings)


class _Running:
    """Stands for a pause that nobody wants."""

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_exception: object) -> None:
        return None
