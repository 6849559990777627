"""Manifests and indexes: the documents that say what an image consists of (OCI manifest.md, image-index.md).

A document keeps the bytes that it was read from, because its digest is theirs. What its media type says and what is
in it have to agree: a document that is a manifest to one reader and an index to another could show each of them a
different image under one digest (CVE-2021-41190).
"""

from __future__ import annotations

from orlop import json_text
from orlop.errors import DigestMismatch, InvalidArgument, InvalidImage, Unsupported
from orlop.images import document as fields
from orlop.images import media_types
from orlop.images.platform import Platform
from orlop.storage import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: The largest manifest that is read: what the distribution specification says that registries must take.
LARGEST = 4 << 20


class Descriptor:
    """A reference to content: its kind, digest and size, and what else is known of it (OCI descriptor.md).

    ``data`` is the content itself where the descriptor carries it, verified. ``platform`` is None if it is not said.
    """

    __slots__ = ("annotations", "artifact_type", "data", "digest", "media_type", "platform", "size", "urls")

    def __init__(
        self,
        media_type: str,
        digest: str,
        size: int,
        *,
        urls: Sequence[str] = (),
        annotations: dict[str, str] | None = None,
        platform: Platform | None = None,
        artifact_type: str = "",
        data: bytes | None = None,
    ) -> None:
        self.media_type = media_type
        self.digest = digest
        self.size = size
        self.urls = tuple(urls)
        self.annotations = annotations or {}
        self.platform = platform
        self.artifact_type = artifact_type
        self.data = data

    def as_json(self) -> dict[str, Any]:
        """The object of the image specification."""
        made: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.urls:
            made["urls"] = list(self.urls)
        if self.annotations:
            made["annotations"] = self.annotations
        if self.data is not None:
            import binascii

            made["data"] = binascii.b2a_base64(self.data, newline=False).decode()
        if self.artifact_type:
            made["artifactType"] = self.artifact_type
        if self.platform is not None:
            made["platform"] = self.platform.as_json()
        return made

    def __repr__(self) -> str:
        return f"Descriptor({self.media_type!r}, {self.digest!r}, {self.size})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descriptor) and self.as_json() == other.as_json()

    def __hash__(self) -> int:
        return hash(self.digest)


class Manifest:
    """One image: its configuration and its layers, the lowest first.

    ``data`` is the document as it was read or written, ``media_type`` its kind.
    """

    __slots__ = ("annotations", "artifact_type", "config", "data", "digest", "layers", "media_type", "subject")

    def __init__(
        self,
        data: bytes,
        media_type: str,
        config: Descriptor,
        layers: Sequence[Descriptor],
        *,
        annotations: dict[str, str] | None = None,
        artifact_type: str = "",
        subject: Descriptor | None = None,
    ) -> None:
        self.data = data
        self.digest = digests.of(data)
        self.media_type = media_type
        self.config = config
        self.layers = tuple(layers)
        self.annotations = annotations or {}
        self.artifact_type = artifact_type
        self.subject = subject

    @staticmethod
    def parse(data: bytes, media_type: str = "", what: str = "the manifest") -> Manifest:
        """Read a document that must be a manifest, as `parse` does.

        Raises:
            InvalidImage: it is an index, or anything that `parse` refuses.
            Unsupported, DigestMismatch: likewise.
        """
        made = parse(data, media_type, what)
        if not isinstance(made, Manifest):
            raise InvalidImage(f"{what} is an index where a manifest is expected")
        return made

    @property
    def descriptor(self) -> Descriptor:
        """What refers to this document."""
        return Descriptor(self.media_type, self.digest, len(self.data))

    def check_image(self, name: str = "the manifest") -> None:
        """Check that this is an image that a container could be made of, and nothing else that registries hold.

        Raises:
            Unsupported: its configuration or a layer is of another kind; the message names it.
        """
        if self.config.media_type not in media_types.CONFIGS:
            kind = self.artifact_type or self.config.media_type
            raise Unsupported(f'{name} is not a container image: it is of the type "{kind[:160]}"')
        for layer in self.layers:
            if layer.media_type not in media_types.LAYERS:
                raise Unsupported(f'{name} has a layer {layer.digest} of the unknown type "{layer.media_type[:160]}"')


class Index:
    """Several images under one name, usually one for each platform."""

    __slots__ = ("annotations", "artifact_type", "data", "digest", "manifests", "media_type", "subject")

    def __init__(
        self,
        data: bytes,
        media_type: str,
        manifests: Sequence[Descriptor],
        *,
        annotations: dict[str, str] | None = None,
        artifact_type: str = "",
        subject: Descriptor | None = None,
    ) -> None:
        self.data = data
        self.digest = digests.of(data)
        self.media_type = media_type
        self.manifests = tuple(manifests)
        self.annotations = annotations or {}
        self.artifact_type = artifact_type
        self.subject = subject

    @staticmethod
    def parse(data: bytes, media_type: str = "", what: str = "the index") -> Index:
        """Read a document that must be an index, as `parse` does.

        Raises:
            InvalidImage: it is a manifest, or anything that `parse` refuses.
            Unsupported, DigestMismatch: likewise.
        """
        made = parse(data, media_type, what)
        if not isinstance(made, Index):
            raise InvalidImage(f"{what} is a manifest where an index is expected")
        return made

    @property
    def descriptor(self) -> Descriptor:
        """What refers to this document."""
        return Descriptor(self.media_type, self.digest, len(self.data))


def parse(data: bytes, media_type: str = "", what: str = "the manifest") -> Manifest | Index:
    """Read a manifest or an index.

    ``media_type`` is what the registry or a descriptor says that it is; one that says nothing about images (such as
    ``application/json``) does not count. ``what`` it is begins the error's sentence.

    Raises:
        InvalidImage: it breaks the specification, or its media types and its fields contradict each other.
        Unsupported: it is of a kind that is known and not supported, such as schema 1.
        DigestMismatch: content that is inlined in a descriptor is not what the descriptor says.
    """
    document = fields.parse(data, what, LARGEST)
    kind = _kind(document, media_types.essence(media_type), what)
    subject = fields.mapping(document, "subject", what)
    common: dict[str, Any] = {
        "annotations": fields.string_map(document, "annotations", what),
        "artifact_type": fields.text(document, "artifactType", what),
        "subject": descriptor(subject, f"the subject of {what}") if subject is not None else None,
    }
    if kind in media_types.INDEXES:
        entries = fields.mappings(document, "manifests", what)
        return Index(data, kind, _descriptors(entries, f"entry # of {what}"), **common)
    config = fields.mapping(document, "config", what)
    if config is None:
        raise InvalidImage(f"{what} names no configuration")
    layers = _descriptors(fields.mappings(document, "layers", what), f"layer # of {what}")
    return Manifest(data, kind, descriptor(config, f"the configuration of {what}"), layers, **common)


def _descriptors(values: list[dict[str, Any]], what: str) -> list[Descriptor]:
    return [descriptor(value, what.replace("#", str(position), 1)) for position, value in enumerate(values, 1)]


def _kind(document: dict[str, Any], said: str, what: str) -> str:
    """What a document is, by all that says so."""
    own = media_types.essence(fields.text(document, "mediaType", what))
    version = fields.integer(document, "schemaVersion", what)
    if (
        version == 1
        or said in media_types.SCHEMA_1
        or own in media_types.SCHEMA_1
        or document.get("fsLayers") is not None
    ):
        raise Unsupported(
            f"{what} is of Docker's image format schema 1, which cannot be verified and is not supported: "
            "push the image again with a tool of this decade"
        )
    if media_types.OCI_ARTIFACT_MANIFEST in (own, said):
        raise Unsupported(f"{what} is an OCI artifact manifest, a kind that the specification has taken back")
    if version != 2:
        raise InvalidImage(f"{what} has the schema version {version}, not 2")
    known = media_types.MANIFESTS | media_types.INDEXES
    if own and own not in known:
        raise InvalidImage(f'{what} is of the unknown type "{own[:160]}"')
    if own and said in known and own != said:
        raise InvalidImage(f'{what} says that it is of the type "{own}", but was given as "{said}"')
    has_list = document.get("manifests") is not None
    has_image = document.get("config") is not None or document.get("layers") is not None
    if has_list and has_image:
        raise InvalidImage(f"{what} is both an index and a manifest")
    kind = own or (said if said in known else "")
    if not kind:
        kind = media_types.OCI_INDEX if has_list else media_types.OCI_MANIFEST
    if has_list != (kind in media_types.INDEXES):
        holds = "an index" if has_list else "a manifest"
        raise InvalidImage(f'{what} has the fields of {holds}, but says that it is of the type "{kind}"')
    return kind


def descriptor(value: dict[str, Any], what: str) -> Descriptor:
    """Read a descriptor out of a parsed document; ``what`` it is begins the error's sentence.

    Raises:
        InvalidImage: it breaks the specification.
        DigestMismatch: the content that it carries is not what it says.
    """
    digest = fields.text(value, "digest", what)
    try:
        digests.check(digest)
    except InvalidArgument as error:
        raise InvalidImage(f"{what} has an {error}") from None
    size = fields.integer(value, "size", what)
    if size is None or size < 0:
        raise InvalidImage(f"{what} has {'no size' if size is None else f'the negative size {size}'}")
    media_type = media_types.essence(fields.text(value, "mediaType", what))
    if not media_type:
        raise InvalidImage(f"{what} has no media type")
    platform = fields.mapping(value, "platform", what)
    return Descriptor(
        media_type,
        digest,
        size,
        urls=fields.strings(value, "urls", what),
        annotations=fields.string_map(value, "annotations", what),
        platform=_platform(platform, what) if platform is not None else None,
        artifact_type=fields.text(value, "artifactType", what),
        data=_inlined(fields.text(value, "data", what), digest, size, what) if value.get("data") is not None else None,
    )


def _platform(value: dict[str, Any], what: str) -> Platform | None:
    what = f"the platform of {what}"
    system = fields.text(value, "os", what)
    architecture = fields.text(value, "architecture", what)
    if not system and not architecture:
        return None
    return Platform(
        system,
        architecture,
        fields.text(value, "variant", what),
        fields.text(value, "os.version", what),
        fields.strings(value, "os.features", what),
    )


def _inlined(encoded: str, digest: str, size: int, what: str) -> bytes:
    import binascii

    try:
        data = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError as error:
        raise InvalidImage(f"{what} carries data that is not base64: {str(error).lower()}") from None
    state = digests.hasher(digest)
    state.update(data)
    if len(data) != size or digests.result(state) != digest:
        raise DigestMismatch(f"{what} carries data that is not the {size} bytes of {digest}")
    return data


def make_manifest(
    config: Descriptor,
    layers: Sequence[Descriptor],
    *,
    media_type: str = media_types.OCI_MANIFEST,
    annotations: dict[str, str] | None = None,
    artifact_type: str = "",
    subject: Descriptor | None = None,
) -> Manifest:
    """Write a manifest."""
    made: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
    if artifact_type:
        made["artifactType"] = artifact_type
    made["config"] = config.as_json()
    made["layers"] = [layer.as_json() for layer in layers]
    data = _finished(made, annotations, subject)
    return Manifest(
        data, media_type, config, layers, annotations=annotations, artifact_type=artifact_type, subject=subject
    )


def make_index(
    manifests: Sequence[Descriptor],
    *,
    media_type: str = media_types.OCI_INDEX,
    annotations: dict[str, str] | None = None,
    artifact_type: str = "",
    subject: Descriptor | None = None,
) -> Index:
    """Write an index."""
    made: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
    if artifact_type:
        made["artifactType"] = artifact_type
    made["manifests"] = [entry.as_json() for entry in manifests]
    data = _finished(made, annotations, subject)
    return Index(data, media_type, manifests, annotations=annotations, artifact_type=artifact_type, subject=subject)


def _finished(made: dict[str, Any], annotations: dict[str, str] | None, subject: Descriptor | None) -> bytes:
    if subject is not None:
        made["subject"] = subject.as_json()
    if annotations:
        made["annotations"] = dict(sorted(annotations.items()))
    return json_text.dumps(made).encode()
