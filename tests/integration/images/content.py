"""Small images to bring to registries and to fetch from them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from orlop.images import media_types
from orlop.images.config import ImageConfig, describe
from orlop.images.manifest import Descriptor, make_manifest
from orlop.images.platform import Platform
from orlop.storage import digest as digests

if TYPE_CHECKING:
    from orlop.images.manifest import Manifest
    from orlop.images.registry.client import Registry


def push_bytes(registry: Registry, repository: str, data: bytes) -> str:
    """Bring a blob to a registry; returns its digest."""
    digest = digests.of(data)
    registry.upload_blob(repository, digest, len(data), lambda offset: io.BytesIO(data[offset:]))
    return digest


def push_image(registry: Registry, repository: str, tag: str, layer: bytes = b"not a tar archive") -> Manifest:
    """Bring an image of one layer to a registry."""
    config = ImageConfig(Platform("linux", "amd64"), [push_bytes(registry, repository, layer)]).to_bytes()
    push_bytes(registry, repository, config)
    layers = [Descriptor(media_types.OCI_LAYER, digests.of(layer), len(layer))]
    made = make_manifest(describe(config), layers)
    registry.put_manifest(repository, tag, made.data, made.media_type)
    return made
