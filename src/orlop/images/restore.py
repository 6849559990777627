"""Snapshots of an image that are gone are made again, from the blobs that are there."""

from __future__ import annotations

from orlop.errors import DigestMismatch, InvalidArchive, NotFound
from orlop.images import unpack
from orlop.images.config import ImageConfig
from orlop.images.manifest import Manifest
from orlop.images.progress import Quiet
from orlop.storage import unwritten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.storage.blobs import Blobs
    from orlop.storage.store import Storage


def restore(storage: Storage, digest: str) -> list[str]:
    """Unpack again what is missing of the image of a manifest, and what was lost with the machine's power; its snapshots.

    They are provisional, and noted. A blob that is found damaged is removed, so that the next pull brings it again.

    Raises:
        NotFound: a blob is missing too.
        InvalidImage: manifest or configuration are damaged.
        InvalidArchive, DigestMismatch: a layer cannot be unpacked, or is not what it should be.
        InsufficientSpace: the disk is full.
        OSError: the file system fails.
    """
    with storage.leases.take() as lease:
        lease.hold(digest)
        manifest = Manifest.parse(storage.blobs.read(digest))
        lease.hold(manifest.config.digest, *(layer.digest for layer in manifest.layers))
        config = ImageConfig.parse(storage.blobs.read(manifest.config.digest))
        lease.hold_snapshot(*config.chain_ids)
        try:
            made = unpack.unpack(storage, unpack.layers_of(manifest, config), lease, None, Quiet())
        except (InvalidArchive, DigestMismatch):
            for layer in manifest.layers:
                _remove_damaged(storage.blobs, layer.digest)
            raise
        if made:
            unwritten.note(storage, made)
        return made


def _remove_damaged(blobs: Blobs, digest: str) -> None:
    try:
        blobs.verify(digest)
    except NotFound:
        return
    except DigestMismatch:
        blobs.remove(digest)
