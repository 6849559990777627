"""What a registry says of an image, without anything of it being fetched."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


def raw(name: str) -> dict[str, Any]:
    """The index or manifest of a name, as it is.

    Raises:
        NotFound: the registry has no such image.
        Unauthorized, RegistryError: it refuses, or cannot be reached.
        InvalidImage: what it says is no manifest.
    """
    return _parsed(_get(name)[0], name)


def described(name: str) -> list[dict[str, Any]]:
    """Each manifest of a name with its descriptor, as ``docker manifest inspect --verbose`` shows them.

    Raises:
        OrlopError: as for `raw`.
    """
    data, media_type, digest = _get(name)
    value = _parsed(data, name)
    if media_type not in _INDEXES:
        return [_described(name, {"mediaType": media_type, "digest": digest, "size": len(data)}, value)]
    return list(_of_index(name, value))


def _of_index(name: str, value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from orlop.images import document, reference

    what = f"the index of {name}"
    repository = reference.parse(name).name
    for descriptor in document.mappings(value, "manifests", what):
        place = f"{repository}@{document.text(descriptor, 'digest', what)}"
        yield _described(place, descriptor, _parsed(_get(place)[0], place))


def _described(name: str, descriptor: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    kind = "SchemaV2Manifest" if descriptor.get("mediaType") == _DOCKER else "OCIManifest"
    return {"Ref": name, "Descriptor": descriptor, kind: value}


def _get(name: str) -> tuple[bytes, str, str]:
    from contextlib import closing

    from orlop.images import reference
    from orlop.images.registry.client import Registry

    wanted = reference.parse(name).with_default_tag()
    with closing(Registry(wanted.domain)) as registry:
        return registry.manifest(wanted.path, wanted.digest or wanted.tag)


def _parsed(data: bytes, name: str) -> dict[str, Any]:
    from orlop.images import document, manifest

    return document.parse(data, f"the manifest of {name}", manifest.LARGEST)
