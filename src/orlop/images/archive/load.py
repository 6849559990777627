"""Images out of an archive or a directory, whoever wrote it: docker, podman, skopeo, buildah, orlop.

What is in it is told by its files: ``index.json`` makes it an OCI image layout, whose manifests are taken as they are;
``manifest.json`` alone is what ``docker save`` wrote before version 25 and ``skopeo copy … docker-archive:`` writes
today, for which a manifest is made. Where both are there, Docker's own has the names.

The files of a tar archive come in any order, so all of them are put into the blob store first, under the lease of the
load; what no image turns out to need is swept away after it.
"""

from __future__ import annotations

from orlop import json_text
from orlop.errors import InvalidArchive, InvalidImage, InvalidReference, NotFound
from orlop.images import attestations, install, media_types, platform, reference
from orlop.images import manifest as manifests
from orlop.images import progress as words
from orlop.images.archive.save import CONTAINERD_NAME, REF_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from orlop.images.archive.contents import Contents
    from orlop.images.manifest import Descriptor, Index, Manifest
    from orlop.images.platform import Platform
    from orlop.images.progress import Progress
    from orlop.images.store import Image, ImageStore
    from orlop.storage.leases import Lease

_LARGEST_DOCUMENT = 8 << 20
_MOST_NESTED = 3


class _Found:
    """An image in an archive: its manifest, the index that has it, and the names that the archive gives it."""

    __slots__ = ("listed", "manifest", "names")

    def __init__(self, manifest: Manifest, names: Sequence[str], listed: Index | None = None) -> None:
        self.manifest = manifest
        self.listed = listed
        self.names = list(dict.fromkeys(names))


def load(
    images: ImageStore,
    contents: Contents,
    lease: Lease,
    progress: Progress,
    *,
    wanted: Platform | None = None,
) -> list[tuple[Image, list[str]]]:
    """Make all images of an archive the store's; returns each with the names that it was given.

    ``contents`` are the archive's files, held by the lease. ``wanted`` chooses from indexes of several platforms.

    Raises:
        InvalidArchive: it is no archive of images, or lacks what it should have.
        InvalidImage, Unsupported, DigestMismatch: an image in it is broken or cannot be used here.
        OSError: the file system fails.
    """
    found = _images(contents, lease, wanted or platform.host())
    if not found:
        raise InvalidArchive(f"{contents.name} has no images in it")
    loaded = []
    for each in found:
        _check_present(contents, each.manifest)
        attested = _attested(images, contents, lease, each)
        image = install.install(
            images,
            each.manifest,
            each.names,
            lease,
            progress=progress,
            done=words.LOADED,
            name=f"the image {each.names[0] if each.names else each.manifest.digest} in {contents.name}",
            attested=attested,
        )
        loaded.append((image, each.names))
    return loaded


def one(contents: Contents, wanted: Platform, *, tag: str = "", digest: str = "") -> Manifest:
    """The manifest of one image of an OCI layout, whose blobs are there then: by its digest or tag, or the only one.

    Raises:
        NotFound: there is none, or there are several and neither is said.
        InvalidArchive: something that it needs is missing.
        InvalidImage, Unsupported, DigestMismatch: it is broken, or cannot be used here.
    """
    value = _document(contents, "index.json")
    if value is None:
        raise InvalidArchive(f"{contents.name} is no OCI image layout: it has no index.json")
    index = manifests.Index.parse(
        json_text.dumps(value).encode(), media_types.OCI_INDEX, f"index.json in {contents.name}"
    )
    listed = {each.annotations.get(REF_NAME, ""): each for each in index.manifests}
    if digest:
        chosen = [each for each in index.manifests if each.digest == digest]
    else:
        # The annotation is a tag, or a whole name.
        chosen = [each for name, each in listed.items() if not tag or name.rpartition(":")[2] == tag]
    if len({each.digest for each in chosen}) != 1:
        there = ", ".join(filter(None, listed)) or "images without a name"
        raise NotFound(f"{contents.name} has no single image {digest or tag or 'at all'}: it has {there}")
    read = _manifest(contents, chosen[0], wanted, _MOST_NESTED, index)
    if read is None:
        raise NotFound(f"{chosen[0].digest} in {contents.name} is no image")
    manifest = read[0]
    manifest.check_image(contents.name)
    _check_present(contents, manifest)
    return manifest


def _attested(images: ImageStore, contents: Contents, lease: Lease, found: _Found) -> Index | None:
    if found.listed is None:
        return None

    def read(descriptor: Descriptor) -> bytes:
        data = contents.blob(descriptor.digest, _LARGEST_DOCUMENT)
        if data is None:
            raise NotFound(f"{contents.name} has no {descriptor.digest}")
        return data

    def fetch(descriptor: Descriptor) -> None:
        if contents.blob_size(descriptor.digest) is None:
            raise NotFound(f"{contents.name} has no {descriptor.digest}")

    return attestations.gather(found.listed, found.manifest, read, fetch, images.storage.blobs, lease)


def _images(contents: Contents, lease: Lease, wanted: Platform) -> list[_Found]:
    docker = _document(contents, "manifest.json")
    index = _document(contents, "index.json")
    if index is not None:
        found = _of_layout(contents, index, wanted)
        if docker is not None:
            _give_docker_s_names(contents, found, docker)
        return found
    if isinstance(docker, dict) and "layers" in docker:
        raise InvalidArchive(
            f"{contents.name} is an image in the form of 'skopeo copy … dir:' or 'podman save --format docker-dir', "
            "which has no names: save it as oci-dir, oci-archive or docker-archive"
        )
    if docker is None:
        raise InvalidArchive(
            f"{contents.name} is no archive of images: it has neither index.json nor manifest.json; "
            "'orlop import' makes an image of a file system's archive"
        )
    return [_of_docker(contents, lease, each) for each in _objects(contents, docker)]


def _document(contents: Contents, name: str) -> Any:
    data = contents.read(name, _LARGEST_DOCUMENT)
    if data is None:
        return None
    try:
        return json_text.loads(data)
    except ValueError as error:
        raise InvalidArchive(f"{name} in {contents.name} is not JSON: {error}") from None


def _objects(contents: Contents, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InvalidArchive(f"manifest.json in {contents.name} is not a list of objects")
    return value


def _of_layout(contents: Contents, value: Any, wanted: Platform) -> list[_Found]:
    """The images of an OCI layout: of an entry with several platforms the one that is wanted."""
    index = manifests.Index.parse(
        json_text.dumps(value).encode(), media_types.OCI_INDEX, f"index.json in {contents.name}"
    )
    found: dict[str, _Found] = {}
    for descriptor in index.manifests:
        if descriptor.artifact_type or descriptor.media_type not in media_types.MANIFESTS | media_types.INDEXES:
            continue
        read = _manifest(contents, descriptor, wanted, _MOST_NESTED, index)
        if read is None:
            continue
        manifest, listed = read
        each = found.setdefault(manifest.digest, _Found(manifest, (), listed))
        name = _name(descriptor)
        if name and name not in each.names:
            each.names.append(name)
    return list(found.values())


def _manifest(
    contents: Contents, descriptor: Descriptor, wanted: Platform, nested: int, listed: Index
) -> tuple[Manifest, Index] | None:
    """The manifest that a descriptor of an index means, and the index that has it; None for what is no image."""
    data = descriptor.data if descriptor.data is not None else contents.blob(descriptor.digest, _LARGEST_DOCUMENT)
    if data is None:
        raise InvalidArchive(f"{contents.name} lacks the manifest {descriptor.digest} that its index names")
    if len(data) != descriptor.size:
        raise InvalidArchive(
            f"{contents.name} has {len(data)} bytes of the manifest {descriptor.digest} "
            f"where {descriptor.size} are declared"
        )
    document = manifests.parse(data, descriptor.media_type, f"the manifest {descriptor.digest} in {contents.name}")
    if isinstance(document, manifests.Manifest):
        is_image = document.config.media_type in media_types.CONFIGS and not _is_attestation(descriptor)
        return (document, listed) if is_image else None
    if not nested:
        raise InvalidImage(f"{contents.name} has indexes in indexes, more than {_MOST_NESTED} deep")
    present = [each for each in document.manifests if contents.blob_size(each.digest) is not None]
    chosen = platform.choose(present, wanted, f"the index {descriptor.digest} in {contents.name}")
    return _manifest(contents, chosen, wanted, nested - 1, document)


def _is_attestation(descriptor: Descriptor) -> bool:
    return descriptor.platform is not None and descriptor.platform.is_unknown


def _name(descriptor: Descriptor) -> str:
    """The name in an index's entry: containerd's annotation has it whole; OCI's may be a name or only a tag."""
    text = descriptor.annotations.get(CONTAINERD_NAME, "")
    if not text:
        text = descriptor.annotations.get(REF_NAME, "")
        if "/" not in text and ":" not in text:
            return ""
    return _whole(text)


def _whole(text: str) -> str:
    """A whole name with a tag; empty if it is none. A digest is not for an archive to claim that an image came by it."""
    try:
        name = reference.parse(text)
    except InvalidReference:
        return ""  # an annotation may hold anything
    return "" if name.digest else str(name.with_default_tag())


def _give_docker_s_names(contents: Contents, found: list[_Found], docker: Any) -> None:
    by_config = {each.manifest.config.digest: each for each in found}
    for entry in _objects(contents, docker):
        digest = contents.digest_of(str(entry.get("Config")))
        if digest in by_config:
            each = by_config[digest]
            each.names = list(dict.fromkeys([*each.names, *_tags(contents, entry)]))


def _tags(contents: Contents, entry: dict[str, Any]) -> list[str]:
    tags = entry.get("RepoTags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidArchive(f"manifest.json in {contents.name} has RepoTags that are not a list of names")
    names = [reference.parse(tag).with_default_tag() for tag in tags]
    for name in names:
        if name.digest:
            raise InvalidArchive(f"manifest.json in {contents.name} has a RepoTag with a digest: {name.familiar}")
    return [str(name) for name in names]


def _of_docker(contents: Contents, lease: Lease, entry: dict[str, Any]) -> _Found:
    """An image of Docker's older archives, which has a configuration and layers, and no manifest."""
    config, layers = entry.get("Config"), entry.get("Layers") or []
    if not isinstance(config, str) or not isinstance(layers, list) or not all(isinstance(each, str) for each in layers):
        raise InvalidArchive(f"manifest.json in {contents.name} names no configuration, or layers that are not names")
    made = manifests.make_manifest(
        _descriptor(contents, config, media_types.OCI_CONFIG),
        [_layer(contents, each) for each in layers],
    )
    lease.hold(made.digest)
    return _Found(made, _tags(contents, entry))


def _layer(contents: Contents, name: str) -> Descriptor:
    compression = contents.compression_of(name)
    return _descriptor(contents, name, media_types.layer_type(media_types.OCI_MANIFEST, compression))


def _descriptor(contents: Contents, name: str, media_type: str) -> Descriptor:
    digest = contents.digest_of(name)
    size = contents.blob_size(digest) if digest else None
    if digest is None or size is None:
        raise InvalidArchive(f"{contents.name} lacks {name}, which its manifest.json names")
    return manifests.Descriptor(media_type, digest, size)


def _check_present(contents: Contents, manifest: Manifest) -> None:
    for descriptor in (manifest.config, *manifest.layers):
        size = contents.blob_size(descriptor.digest)
        if size is None:
            raise InvalidArchive(f"{contents.name} lacks the blob {descriptor.digest}, which an image in it needs")
        if size != descriptor.size:
            raise InvalidArchive(
                f"{contents.name} has {size} bytes of the blob {descriptor.digest} where {descriptor.size} are declared"
            )
