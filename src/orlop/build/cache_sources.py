"""Caches of builds that are elsewhere, to be used here: in a directory, in a registry, or in an image of one.

What comes from there is believed as little as any image: a layer has to be what its DIFF ID says, takes no more room than was
declared, and is unpacked as layers are. Whoever can write there decides, as with every cache, what a build comes to.
"""

from __future__ import annotations

import os
from contextlib import closing

from orlop import json_text
from orlop.build import cache_config, cache_places
from orlop.build.value import Value
from orlop.errors import DigestMismatch, InvalidImage, NotFound, OrlopError
from orlop.images import manifest as manifests
from orlop.images import platform, reference
from orlop.images.config import ImageConfig
from orlop.images.manifest import Manifest
from orlop.storage import digest as digests
from orlop.storage.layers import decompress
from orlop.storage.layers.limits import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from orlop.build.cache import Layer
    from orlop.build.cache_config import Config, Known
    from orlop.build.cache_places import Place
    from orlop.images.manifest import Descriptor, Index
    from orlop.images.platform import Platform
    from orlop.images.registry.client import Registry
    from orlop.images.registry.hosts import RegistryOptions
    from orlop.storage.blobs import Blobs
    from orlop.storage.leases import Lease
else:
    Protocol = object  # `typing` takes long to import

#: The most that is read of records, in bytes.
_LARGEST = 64 << 20
_CHUNK = 1 << 20
_MOST_NESTED = 3
_ATTEMPTS = 3
_REF_NAME = "org.opencontainers.image.ref.name"


class Holder(Protocol):
    """Where a cache's blobs are."""

    def top(self) -> Manifest | Index:
        """The document that the cache's name means.

        Raises:
            OrlopError: it cannot be had.
        """

    def document(self, descriptor: Descriptor) -> Manifest | Index:
        """A manifest or an index.

        Raises:
            OrlopError: it cannot be had.
        """

    def open(self, descriptor: Descriptor, directory: str) -> int:
        """A blob, open to be read; ``directory`` is for what is only needed meanwhile.

        Raises:
            OrlopError, OSError: it cannot be had.
        """


class Imported:
    """What one cache has.

    Raises:
        OrlopError, OSError: it cannot be had, or is none.
    """

    __slots__ = ("_config", "_holder", "place")

    def __init__(self, place: Place, holder: Holder, directory: str, wanted: Platform) -> None:
        self.place = place
        self._holder = holder
        self._config = _config(holder, directory, wanted)

    def find(self, key: str) -> Known | None:
        """What is known of a key."""
        return self._config.records.get(key)

    def blob(self, layer: Layer) -> Descriptor | None:
        """Where a layer is, if it is there."""
        return self._config.blobs.get(layer.diff_id)

    def open(self, descriptor: Descriptor, directory: str) -> int:
        """A blob as it is there; see `Holder.open`."""
        return self._holder.open(descriptor, directory)

    def fetch(self, layer: Layer, blobs: Blobs, lease: Lease, directory: str) -> None:
        """Have a layer in the store, uncompressed.

        Raises:
            DigestMismatch: it is something else.
            OrlopError, OSError: it cannot be had.
        """
        lease.hold(layer.digest)
        if blobs.has(layer.digest):
            return
        described = self.blob(layer)
        if described is None:
            raise NotFound(f"the build cache in {self.place} does not have the layer {layer.diff_id}")
        source = self._holder.open(described, directory)
        state = digests.hasher(layer.diff_id)
        try:
            head = decompress.read_head(source)
            codec = decompress.codec(decompress.detect(head))
            with blobs.writer() as writer:
                size = 0
                for piece in decompress.chunks(head, source, codec, DEFAULT, layer.size + 1):
                    size += len(piece)
                    if size > layer.size:
                        break
                    state.update(piece)
                    writer.write(piece)
                if size != layer.size or digests.result(state) != layer.diff_id:
                    raise DigestMismatch(f"the build cache in {self.place} has something else as {layer.diff_id}")
                writer.commit(lease)
        finally:
            os.close(source)


class Recalled(Value):
    """A result that a cache elsewhere knows, and that cache."""

    known: Known
    source: Imported

    @property
    def can_be_had(self) -> bool:
        """Whether its layer is there too."""
        return self.known.layer is None or self.source.blob(self.known.layer) is not None


def opened(
    place: Place, directory: str, wanted: Platform, registries: Callable[[], RegistryOptions] | None = None
) -> Imported:
    """The cache at a place.

    Raises:
        OrlopError, OSError: it cannot be had, or is none.
    """
    holder: Holder = _Layout(place) if place.kind == cache_places.LOCAL else _Remote(place, registries)
    return Imported(place, holder, directory, wanted)


def _config(holder: Holder, directory: str, wanted: Platform) -> Config:
    document = holder.top()
    for _ in range(_MOST_NESTED):
        if isinstance(document, Manifest):
            break
        described = [each for each in document.manifests if each.media_type == cache_config.CONFIG]
        if described:
            return cache_config.read(_content(holder, described[0], directory), document.manifests)
        document = holder.document(platform.choose(document.manifests, wanted))
    if not isinstance(document, Manifest):
        raise InvalidImage("it has indexes in indexes")
    data = _content(holder, document.config, directory)
    if document.config.media_type == cache_config.CONFIG:
        return cache_config.read(data, document.layers)
    config = ImageConfig.parse(data)
    encoded = config.others.get(cache_config.INLINE)
    if not isinstance(encoded, str):
        raise NotFound("it is an image that has no build cache in it")
    return cache_config.read_inline(encoded, document.layers, config.diff_ids)


def _content(holder: Holder, descriptor: Descriptor, directory: str) -> bytes:
    if descriptor.size > _LARGEST:
        raise InvalidImage(f"its records have {descriptor.size} bytes, more than {_LARGEST}")
    source = holder.open(descriptor, directory)
    data = b""
    try:
        while len(data) <= descriptor.size and (piece := os.read(source, _CHUNK)):
            data += piece
    finally:
        os.close(source)
    state = digests.hasher(descriptor.digest)
    state.update(data)
    if digests.result(state) != descriptor.digest:
        raise DigestMismatch(f"its records are something else than {descriptor.digest}")
    return data


class _Layout:
    """A directory that is an OCI image layout."""

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        self._place = place

    def top(self) -> Manifest | Index:
        path = f"{self._place.where}/index.json"
        try:
            with open(path, "rb") as file:
                value = json_text.loads(file.read(_LARGEST))
            entries = [manifests.descriptor(each, f"an entry of {path}") for each in value["manifests"]]
        except FileNotFoundError:
            raise NotFound(f"there is no build cache in {self._place.where}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidImage(f"{path} is damaged: {error}") from None
        for each in entries:
            named = each.annotations.get(_REF_NAME, self._place.tag)
            if each.digest == self._place.digest or (not self._place.digest and named == self._place.tag):
                return self.document(each)
        raise NotFound(f"there is no build cache {self._place.digest or self._place.tag} in {self._place.where}")

    def document(self, descriptor: Descriptor) -> Manifest | Index:
        data = _content(self, descriptor, "")
        return manifests.parse(data, descriptor.media_type)

    def open(self, descriptor: Descriptor, directory: str) -> int:  # noqa: ARG002 - nothing is needed meanwhile
        algorithm, _, encoded = digests.check(descriptor.digest).partition(":")
        path = f"{self._place.where}/blobs/{algorithm}/{encoded}"
        try:
            return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"the build cache in {self._place.where} has no blob {descriptor.digest}") from None


class _Remote:
    """A repository of a registry. Each request has connections of its own: processes that are forked ask too."""

    __slots__ = ("_name", "_registries")

    def __init__(self, place: Place, registries: Callable[[], RegistryOptions] | None) -> None:
        self._name = reference.parse(place.where)
        self._registries = registries

    def top(self) -> Manifest | Index:
        return self._manifest(self._name.digest or self._name.tag)

    def document(self, descriptor: Descriptor) -> Manifest | Index:
        return self._manifest(descriptor.digest)

    def _manifest(self, wanted: str) -> Manifest | Index:
        from orlop.images.registry.client import Registry

        with closing(Registry(self._name.domain, self._options())) as registry:
            data, media_type, _ = registry.manifest(self._name.path, wanted)
        return manifests.parse(data, media_type, f"the build cache {self._name.familiar}")

    def open(self, descriptor: Descriptor, directory: str) -> int:
        from orlop.images.registry.client import Registry
        from orlop.images.registry.refusals import Unreachable

        aside = os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        try:
            with closing(Registry(self._name.domain, self._options())) as registry:
                for attempt in range(_ATTEMPTS):
                    try:
                        self._receive(registry, descriptor, aside)
                        break
                    except Unreachable:
                        if attempt == _ATTEMPTS - 1:
                            raise
            os.lseek(aside, 0, os.SEEK_SET)
            return aside
        except (OrlopError, OSError):
            os.close(aside)
            raise

    def _receive(self, registry: Registry, descriptor: Descriptor, aside: int) -> None:
        """Go on with a blob of which the beginning may be there."""
        with registry.blob(self._name.path, descriptor.digest, os.lseek(aside, 0, os.SEEK_CUR)) as stream:
            if stream.restarted:
                os.lseek(aside, 0, os.SEEK_SET)
                os.ftruncate(aside, 0)
            size = os.lseek(aside, 0, os.SEEK_CUR)
            for piece in stream:
                size += len(piece)
                if size > descriptor.size:
                    raise DigestMismatch(f"the blob {descriptor.digest} has more than {descriptor.size} bytes")
                data = memoryview(piece)
                while data:
                    data = data[os.write(aside, data) :]

    def _options(self) -> RegistryOptions | None:
        return self._registries() if self._registries is not None else None
