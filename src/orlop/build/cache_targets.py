"""Results of steps that go elsewhere, for other machines: to a directory, to a registry, or into the image itself."""

from __future__ import annotations

import os
from contextlib import closing

from orlop import json_text
from orlop.build import cache_config
from orlop.build.value import Value
from orlop.errors import OrlopError
from orlop.images import config, media_types, reference
from orlop.images import manifest as manifests
from orlop.images.manifest import Descriptor
from orlop.storage import digest as digests
from orlop.storage.layers import compress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from io import FileIO

    from orlop.build.cache import Layer
    from orlop.build.cache_config import Known
    from orlop.build.cache_places import Place
    from orlop.build.cache_sources import Imported
    from orlop.images.manifest import Index, Manifest
    from orlop.images.registry.client import Registry
    from orlop.images.registry.hosts import RegistryOptions
    from orlop.storage.blobs import Blobs

_CHUNK = 1 << 20
_REF_NAME = "org.opencontainers.image.ref.name"


class Gathered(Value):
    """What goes: what is ``known``, the ``layers`` whose blobs go with it, and the caches that layers which are not here come from.

    ``directory`` is for what is only needed meanwhile.
    """

    known: Sequence[Known]
    layers: Sequence[Layer]
    sources: Sequence[Imported]
    blobs: Blobs
    directory: str


def inline(known: Sequence[Known], diff_ids: Sequence[str]) -> str:
    """The field of an image's configuration by which the image is a cache as well."""
    import binascii

    made = cache_config.records(known, {diff_id: place for place, diff_id in enumerate(diff_ids)})
    return binascii.b2a_base64(json_text.dumps(made).encode(), newline=False).decode()


def to_directory(place: Place, gathered: Gathered) -> None:
    """Write a cache into an OCI layout; what was there of another build under its name is replaced when all is written.

    Raises:
        NotFound: a layer was pruned meanwhile.
        OSError: the directory cannot be written to.
    """
    directory = place.where
    os.makedirs(f"{directory}/blobs/sha256", exist_ok=True)
    blobs = {}
    for layer in gathered.layers:
        with _prepared(layer, place, gathered) as prepared:
            if prepared is None:
                continue
            described = prepared.described
            path = f"{directory}/blobs/{described.digest.replace(':', '/')}"
            if not os.path.exists(path):
                with open(f"{path}.part", "wb") as file:
                    while data := os.read(prepared.descriptor, _CHUNK):
                        file.write(data)
                os.rename(f"{path}.part", path)
        blobs[layer.diff_id] = described
    data, made = _documents(place, gathered.known, blobs)
    for each in (data, made.data):
        _replace(f"{directory}/blobs/{digests.of(each).replace(':', '/')}", each)
    entry = made.descriptor
    entry.annotations = {_REF_NAME: place.tag}
    _replace(f"{directory}/oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    _replace(f"{directory}/index.json", manifests.make_index([entry, *_others(directory, place.tag)]).data)


def _others(directory: str, tag: str) -> list[Descriptor]:
    """The caches of other names in a directory."""
    try:
        with open(f"{directory}/index.json", "rb") as file:
            index = manifests.Index.parse(file.read())
    except (FileNotFoundError, OrlopError):
        return []
    return [each for each in index.manifests if each.annotations.get(_REF_NAME, tag) != tag]


def _replace(path: str, data: bytes) -> None:
    with open(f"{path}.part", "wb") as file:
        file.write(data)
    os.rename(f"{path}.part", path)


def to_registry(
    place: Place,
    gathered: Gathered,
    there: Imported | None,
    registries: Callable[[], RegistryOptions] | None = None,
) -> None:
    """Bring a cache to a registry; ``there`` is the one that has its name now, whose layers need not be brought again.

    Raises:
        Unauthorized, RegistryError: the registry refuses, or cannot be reached.
        NotFound: a layer was pruned meanwhile.
        OSError: the file system fails.
    """
    from orlop.images.registry.client import Registry

    name = reference.parse(place.where)
    blobs = {}
    with closing(Registry(name.domain, registries() if registries is not None else None)) as registry:
        for layer in gathered.layers:
            described = there.blob(layer) if there is not None else None
            if described is None or not registry.has_blob(name.path, described.digest):
                with _prepared(layer, place, gathered) as prepared:
                    if prepared is None:
                        continue
                    described = prepared.described
                    _upload(registry, name.path, described, prepared.open_at)
            blobs[layer.diff_id] = described
        data, made = _documents(place, gathered.known, blobs)
        _upload(registry, name.path, config.describe(data, cache_config.CONFIG), lambda at: _Bytes(data, at))
        registry.put_manifest(name.path, name.digest or name.tag, made.data, made.media_type)


def _upload(registry: Registry, path: str, described: Descriptor, open_at: Callable[[int], FileIO | _Bytes]) -> None:
    if not registry.has_blob(path, described.digest):
        registry.upload_blob(path, described.digest, described.size, open_at)


class _Bytes:
    """Some bytes as a file that is read."""

    __slots__ = ("_rest",)

    def __init__(self, data: bytes, at: int) -> None:
        self._rest = memoryview(data)[at:]

    def read(self, size: int, /) -> bytes:
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)

    def close(self) -> None:
        """There is nothing to close."""


def _documents(place: Place, known: Sequence[Known], blobs: Mapping[str, Descriptor]) -> tuple[bytes, Manifest | Index]:
    """The records' bytes, and the document that names them and the blobs."""
    data = cache_config.write(known, blobs)
    described = config.describe(data, cache_config.CONFIG)
    each = list({blob.digest: blob for blob in blobs.values()}.values())
    if place.is_image:
        return data, manifests.make_manifest(described, each)
    kind = media_types.OCI_INDEX if place.is_oci else media_types.DOCKER_INDEX
    return data, manifests.make_index([*each, described], media_type=kind)


class _Prepared:
    """A layer's blob as it goes: an open descriptor, and what describes it."""

    __slots__ = ("described", "descriptor")

    def __init__(self, descriptor: int, described: Descriptor) -> None:
        self.descriptor = descriptor
        self.described = described

    def open_at(self, offset: int) -> FileIO:
        """The blob from an offset on."""
        file = open(f"/proc/self/fd/{self.descriptor}", "rb", buffering=0)
        file.seek(offset)
        return file


class _prepared:  # noqa: N801 - used like a function, as contextlib's are
    """``with _prepared(layer, …) as prepared:`` has a layer's blob, compressed as the place wants it; None if nobody has it any more."""

    __slots__ = ("_descriptor", "_gathered", "_layer", "_place")

    def __init__(self, layer: Layer, place: Place, gathered: Gathered) -> None:
        self._layer = layer
        self._place = place
        self._gathered = gathered
        self._descriptor = -1

    def __enter__(self) -> _Prepared | None:
        gathered, layer = self._gathered, self._layer
        if not gathered.blobs.has(layer.digest):
            for source in gathered.sources:
                described = source.blob(layer)
                if described is not None:
                    self._descriptor = source.open(described, gathered.directory)
                    return _Prepared(self._descriptor, described)
            return None
        kind = media_types.layer_type(
            media_types.OCI_MANIFEST if self._place.is_oci else media_types.DOCKER_MANIFEST, self._place.compression
        )
        plain = gathered.blobs.open(layer.digest)
        if not self._place.compression:
            self._descriptor = plain
            return _Prepared(plain, Descriptor(kind, layer.digest, layer.size))
        try:
            self._descriptor = os.open(gathered.directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
            sink = _Sink(self._descriptor)
            with compress.compressor(self._place.compression, sink) as compressor:
                while data := os.read(plain, _CHUNK):
                    compressor.write(data)
                compressor.finish()
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            return _Prepared(self._descriptor, Descriptor(kind, digests.result(sink.state), sink.size))
        except BaseException:
            self.__exit__()
            raise
        finally:
            os.close(plain)

    def __exit__(self, *_exception: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Sink:
    """Writes to a file, and counts and hashes what it writes."""

    __slots__ = ("_descriptor", "size", "state")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = 0
        self.state = digests.hasher("sha256:")

    def write(self, data: bytes | memoryview, /) -> None:
        self.state.update(data)
        rest = memoryview(data)
        self.size += len(rest)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
