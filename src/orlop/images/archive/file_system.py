"""An image of one layer out of a file system's archive, such as ``tar`` or a bootstrapping tool makes."""

from __future__ import annotations

import os

from orlop import clock
from orlop.errors import Conflict, InvalidArchive
from orlop.images import config, install, layer_limits, manifest, media_types, platform, unpack
from orlop.images.archive import contents
from orlop.storage.layers import apply, compress, decompress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orlop.images.config import Execution
    from orlop.images.platform import Platform
    from orlop.images.store import Image, ImageStore
    from orlop.storage.blobs import Blobs
    from orlop.storage.leases import Lease
    from orlop.storage.store import Storage

_CHUNK = 1 << 20


class Description:
    """What the image's configuration says: ``execution`` is how it starts, ``comment`` and ``created`` go into its history."""

    __slots__ = ("comment", "created", "execution", "platform")

    def __init__(
        self,
        *,
        execution: Execution | None = None,
        comment: str = "",
        created: str = "",
        platform: Platform | None = None,
    ) -> None:
        self.execution = execution
        self.comment = comment
        self.created = created
        self.platform = platform


def image_of(
    images: ImageStore,
    source: int,
    name: str,
    names: Sequence[str],
    description: Description,
    *,
    complete: Callable[[], None] | None = None,
) -> Image:
    """Make an image of the archive that a descriptor gives; ``name`` is what errors call the archive.

    It is plain, or compressed with gzip, zstd, xz or bzip2; the latter two, which layers may not have, are taken off.
    ``complete`` is called when all of it was read, and raises what went wrong where it comes from.

    Raises:
        InvalidArchive: it is no tar archive, or one that must not be unpacked.
        Unsupported: it is compressed with something else.
        OSError: it cannot be read, or the store not written.
    """
    made = config.ImageConfig(description.platform or platform.host())
    made.config = description.execution or made.config
    storage = images.storage
    storage.prepare()
    with storage.leases.take() as lease:
        layer = _layer(storage.blobs, lease, source, name, complete)
        diff_id, is_new = _unpack(storage, lease, layer, name)
        made.diff_ids = [diff_id]
        made.created = description.created or clock.now()
        made.history = [config.History(made.created, comment=description.comment)]
        data = made.to_bytes()
        descriptor = config.describe(data)
        lease.hold(descriptor.digest)
        storage.blobs.write(data)
        document = manifest.make_manifest(descriptor, [layer])
        return install.install(images, document, names, lease, name=name, unpacked=[diff_id] if is_new else ())


def _unpack(storage: Storage, lease: Lease, layer: manifest.Descriptor, name: str) -> tuple[str, bool]:
    """Make the snapshot of an only layer, whose name is the layer's DIFF ID: that, and whether it was not there before."""
    key = lease.temporary_key()
    storage.snapshots.prepare(key)
    source = storage.blobs.open(layer.digest)
    try:
        try:
            applied = apply.apply(source, storage.snapshots.unpack_target(key), limits=layer_limits.configured())
        except InvalidArchive as error:
            raise contents.about(error, name) from None
        lease.hold_snapshot(applied.diff_id)
        unpack.commit(storage, applied.diff_id, key, applied)
    except Conflict:
        storage.snapshots.remove(key)  # it is there already
        return applied.diff_id, False
    except BaseException:
        storage.snapshots.remove(key)
        raise
    finally:
        os.close(source)
    return applied.diff_id, True


def _layer(
    blobs: Blobs, lease: Lease, source: int, name: str, complete: Callable[[], None] | None
) -> manifest.Descriptor:
    """Store the archive as a layer's blob."""
    head = decompress.read_head(source)
    if not head:
        if complete is not None:
            complete()
        raise InvalidArchive(f"{name} is empty: it is no archive of a file system")
    codec = contents.codec(head, name)
    kind = codec.kind if codec is not None else compress.NONE
    with blobs.writer() as writer:
        if kind in (compress.NONE, decompress.GZIP, decompress.ZSTD):
            writer.write(head)
            while data := os.read(source, _CHUNK):
                writer.write(data)
        else:
            free = os.statvfs(blobs.directory)
            try:
                for piece in decompress.chunks(
                    head, source, codec, layer_limits.configured(), free.f_bavail * free.f_frsize
                ):
                    writer.write(piece)
            except InvalidArchive as error:
                raise contents.about(error, name) from None
            kind = compress.NONE
        if complete is not None:
            complete()
        digest, size = writer.commit(lease)
    return manifest.Descriptor(media_types.layer_type(media_types.OCI_MANIFEST, kind), digest, size)
