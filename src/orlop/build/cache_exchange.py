"""Results of steps that go to other machines and come from them (``--cache-to`` and ``--cache-from``).

A directory with them is an OCI image layout whose one manifest has a configuration of our own kind, the records by their keys,
and the layers' blobs. What comes from there is believed as little as any image: a blob has to be what its digest says, and is
unpacked as layers are. Whoever can write there decides, as with every cache, what a build comes to.
"""

from __future__ import annotations

import os

from orlop import json_text
from orlop.build.cache import Layer, Record
from orlop.errors import DigestMismatch, InvalidArgument, InvalidImage, NotFound
from orlop.images import config, manifest, media_types
from orlop.images.manifest import Descriptor, Manifest
from orlop.storage import digest as digests
from orlop.storage.layers.compress import NONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from orlop.build.cache import Kept
    from orlop.storage.blobs import Blobs
    from orlop.storage.leases import Lease

#: The media type of the records.
RECORDS = "application/vnd.orlop.build.cache.v1+json"
_CHUNK = 1 << 20
#: The most that is read of records, in bytes.
_LARGEST = 64 << 20


def write(directory: str, kept: Iterable[Kept], blobs: Blobs) -> None:
    """Write records and their layers into a directory; what was there of another build is replaced when all is written.

    Raises:
        NotFound: a layer was pruned meanwhile.
        OSError: the directory cannot be written to.
    """
    os.makedirs(f"{directory}/blobs/sha256", exist_ok=True)
    layers: dict[str, Layer] = {}
    records = {}
    for each in sorted(kept, key=lambda each: each.key):
        records[each.key] = each.record.as_json()
        if each.record.layer is not None:
            layers[each.record.layer.digest] = each.record.layer
    for layer in layers.values():
        _copy(blobs, layer.digest, directory)
    data = json_text.dumps({"records": records}).encode()
    kind = media_types.layer_type(media_types.OCI_MANIFEST, NONE)
    made = manifest.make_manifest(
        config.describe(data, RECORDS), [Descriptor(kind, layer.digest, layer.size) for layer in layers.values()]
    )
    _put(directory, digests.of(data), data)
    _put(directory, made.digest, made.data)
    index = {
        "schemaVersion": 2,
        "manifests": [{"mediaType": made.media_type, "digest": made.digest, "size": len(made.data)}],
    }
    _replace(f"{directory}/oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    _replace(f"{directory}/index.json", json_text.dumps(index).encode())


class Imported:
    """The records in a directory.

    Raises:
        NotFound: there is none.
        InvalidImage: it is no cache, or damaged.
    """

    __slots__ = ("_directory", "_records")

    def __init__(self, directory: str) -> None:
        self._directory = directory
        try:
            index = json_text.loads(_read(f"{directory}/index.json").decode())
            described = Manifest.parse(self._blob(index["manifests"][0]["digest"]))
            said = json_text.loads(self._blob(described.config.digest).decode())
            self._records: dict[str, Any] = dict(said["records"])
        except FileNotFoundError:
            raise NotFound(f"there is no build cache in {directory}") from None
        except (KeyError, IndexError, TypeError, ValueError, InvalidArgument) as error:
            raise InvalidImage(f"the build cache in {directory} is damaged: {error}") from None

    def find(self, key: str) -> Record | None:
        """The record of a key; its snapshot is that of another machine, so that only its layer counts."""
        found = self._records.get(key)
        try:
            if found is None:
                return None
            layer = found["layer"]
            if layer is not None:
                layer = Layer(digests.check(layer["diff_id"]), digests.check(layer["digest"]), int(layer["size"]))
            return Record(layer, str(found["chain"]), str(found["text"]), str(found["created"]))
        except (KeyError, TypeError, ValueError, InvalidArgument):
            return None

    def fetch(self, layer: Layer, blobs: Blobs, lease: Lease) -> None:
        """Have a layer's blob in the store.

        Raises:
            NotFound: it is not there.
            DigestMismatch: it is something else.
        """
        lease.hold(layer.digest)
        if blobs.has(layer.digest):
            return
        try:
            source = os.open(self._path(layer.digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"the build cache in {self._directory} has no blob {layer.digest}") from None
        state = digests.hasher(layer.digest)
        try:
            with blobs.writer() as writer:
                while data := os.read(source, _CHUNK):
                    state.update(data)
                    writer.write(data)
                if digests.result(state) != layer.digest:
                    raise DigestMismatch(f"the build cache in {self._directory} has something else as {layer.digest}")
                writer.commit(lease)
        finally:
            os.close(source)

    def _path(self, digest: str) -> str:
        algorithm, _, encoded = digests.check(digest).partition(":")
        return f"{self._directory}/blobs/{algorithm}/{encoded}"

    def _blob(self, digest: str) -> bytes:
        data = _read(self._path(digest))
        if digests.of(data) != digest:
            raise InvalidImage(f"the build cache in {self._directory} is damaged: its blob {digest} is something else")
        return data


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_LARGEST)


def _copy(blobs: Blobs, digest: str, directory: str) -> None:
    path = f"{directory}/blobs/{digest.replace(':', '/')}"
    if os.path.exists(path):
        return
    source = blobs.open(digest)
    try:
        with open(f"{path}.part", "wb") as file:
            while data := os.read(source, _CHUNK):
                file.write(data)
    finally:
        os.close(source)
    os.rename(f"{path}.part", path)


def _put(directory: str, digest: str, data: bytes) -> None:
    _replace(f"{directory}/blobs/{digest.replace(':', '/')}", data)


def _replace(path: str, data: bytes) -> None:
    with open(f"{path}.part", "wb") as file:
        file.write(data)
    os.rename(f"{path}.part", path)
