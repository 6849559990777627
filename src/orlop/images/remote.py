"""What a registry says of an image that is not here."""

from __future__ import annotations

from contextlib import closing

from orlop.errors import DigestMismatch, InvalidImage
from orlop.images import manifest, reference
from orlop.images.registry.client import Registry
from orlop.storage import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.images.registry.hosts import RegistryOptions


def describe(text: str, options: RegistryOptions | None = None) -> dict[str, Any]:
    """The descriptor of what a name means, and the platforms that it is there for: Docker's ``DistributionInspect``.

    Raises:
        InvalidReference: it is no name.
        NotFound: there is none.
        RegistryError: the registry refuses or cannot be reached.
    """
    name = reference.parse(text).with_default_tag()
    with closing(Registry(name.domain, options)) as registry:
        data, media_type, digest = registry.manifest(name.path, name.digest or name.tag)
        document = manifest.parse(data, media_type, f"the manifest of {name.familiar}")
        platforms: list[dict[str, Any]] = []
        if isinstance(document, manifest.Manifest):
            platforms.append(_of_image(registry, name.path, document))
        else:
            platforms += [each.platform.as_json() for each in document.manifests if each.platform is not None]
    return {
        "Descriptor": {"mediaType": document.media_type, "digest": digest, "size": len(data)},
        "Platforms": platforms,
    }


def _of_image(registry: Registry, repository: str, document: manifest.Manifest) -> dict[str, Any]:
    from orlop.images.config import ImageConfig

    what = "the image's configuration"
    state = digests.hasher(document.config.digest)
    data = b""
    with registry.blob(repository, document.config.digest) as stream:
        for piece in stream:
            state.update(piece)
            data += piece
            if len(data) > manifest.LARGEST:
                raise InvalidImage(f"{what} has more than {manifest.LARGEST} bytes")
    if digests.result(state) != document.config.digest:
        raise DigestMismatch(f"{what} is not what {document.config.digest} names")
    return ImageConfig.parse(data, what).platform.as_json()
