"""Layers that are stored uncompressed become compressed ones, for a registry."""

from __future__ import annotations

import os

from orlop.images import manifest, media_types, unpack
from orlop.images import progress as words
from orlop.storage.layers import compress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.images.manifest import Descriptor, Manifest
    from orlop.images.progress import Progress
    from orlop.storage.blobs import Blobs
    from orlop.storage.leases import Lease

_CHUNK = 1 << 20


def compressed(given: Manifest, blobs: Blobs, lease: Lease, progress: Progress) -> Manifest:
    """The manifest itself, or one of the same image in which every layer is compressed, whose blobs are stored.

    Raises:
        NotFound: a layer is not stored.
        OSError: the file system fails.
    """
    if all(media_types.LAYERS.get(layer.media_type) != compress.NONE for layer in given.layers):
        return given
    layers = [
        _gzipped(layer, given.media_type, blobs, lease, progress)
        if media_types.LAYERS.get(layer.media_type) == compress.NONE
        else layer
        for layer in given.layers
    ]
    made = manifest.make_manifest(
        given.config, layers, media_type=given.media_type, annotations=given.annotations, subject=given.subject
    )
    lease.hold(made.digest)
    blobs.write(made.data)
    return made


def _gzipped(layer: Descriptor, family: str, blobs: Blobs, lease: Lease, progress: Progress) -> Descriptor:
    name = unpack.short(layer)
    buffer = memoryview(bytearray(_CHUNK))
    source = blobs.open(layer.digest)
    try:
        with blobs.writer() as writer, compress.compressor(compress.GZIP, writer) as compressor:
            done = 0
            while count := os.readv(source, [buffer]):
                compressor.write(buffer[:count])
                done += count
                progress.update(name, words.COMPRESSING, done, layer.size)
            compressor.finish()
            digest, size = writer.commit(lease)
    finally:
        os.close(source)
    return manifest.Descriptor(media_types.layer_type(family, compress.GZIP), digest, size)
