"""Attestations: what is said of an image, such as how it was built and what is in it, beside it in an index.

BuildKit's form, which registries and scanners know (its attestation-storage.md): the index has the image's manifest, and for each
that something is said of a manifest for ``unknown/unknown`` whose annotations name it. The layers of that one are statements of
in-toto, each of which names the image's manifest as its subject.

An image that has some is stored with such an index, which names nothing that is not here: platforms that were not pulled are
left out. What was built for several platforms at once has all of them in its index, with or without attestations.
"""

from __future__ import annotations

from orlop import json_text
from orlop.errors import InvalidImage, NotFound
from orlop.images import manifest as manifests
from orlop.images import media_types
from orlop.images.config import describe
from orlop.images.manifest import Descriptor, Manifest
from orlop.images.platform import Platform
from orlop.storage import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from orlop.images.manifest import Index
    from orlop.storage.blobs import Blobs
    from orlop.storage.leases import Lease

STATEMENT = "application/vnd.in-toto+json"
PREDICATE_TYPE = "in-toto.io/predicate-type"
_REFERENCE_TYPE = "vnd.docker.reference.type"
_REFERENCE_DIGEST = "vnd.docker.reference.digest"
_ATTESTATION = "attestation-manifest"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v0.1"
#: What is kept of an image that somebody else has made: so many manifests, of so many statements, each so large.
_MOST_MANIFESTS = 16
_MOST_STATEMENTS = 64
_LARGEST_STATEMENT = 256 << 20


class Part:
    """One image of an index: its ``manifest``, what it is for, and the ``statements`` about it, each with its kind."""

    __slots__ = ("manifest", "platform", "statements")

    def __init__(self, manifest: Manifest, platform: Platform, statements: Sequence[tuple[str, bytes]] = ()) -> None:
        self.manifest = manifest
        self.platform = platform
        self.statements = statements


def images(index: Index) -> list[Descriptor]:
    """The manifests in an index that are images."""
    return [
        each
        for each in index.manifests
        if each.media_type in media_types.MANIFESTS and not (each.platform is not None and each.platform.is_unknown)
    ]


def of(index: Index, digest: str) -> list[Descriptor]:
    """The manifests in an index that say something of the manifest with a digest."""
    return [
        each
        for each in index.manifests
        if each.annotations.get(_REFERENCE_TYPE) == _ATTESTATION and subject_of(each) == digest
    ]


def subject_of(said: Descriptor) -> str:
    """The digest of the manifest that an entry of an index says something of, or empty."""
    return said.annotations.get(_REFERENCE_DIGEST, "")


def subject(name: str, digest: str) -> dict[str, Any]:
    """What a statement is about: the content of a digest, which ``name`` calls."""
    algorithm, _, encoded = digest.partition(":")
    return {"name": name, "digest": {algorithm: encoded}}


def statement(subjects: Sequence[dict[str, Any]], kind: str, predicate: Mapping[str, Any]) -> bytes:
    """A statement of in-toto: that a ``predicate`` of a kind holds of its subjects."""
    made = {"_type": _STATEMENT_TYPE, "predicateType": kind, "subject": list(subjects), "predicate": predicate}
    return json_text.dumps(made).encode()


def attach(
    parts: Sequence[Part],
    blobs: Blobs,
    lease: Lease,
    *,
    annotations: Mapping[str, str] | None = None,
    on_descriptor: Mapping[str, str] | None = None,
) -> Index:
    """Write an index of images and of what is said of each, and what it needs.

    ``annotations`` are the index's, ``on_descriptor`` those of its entries for images.

    Raises:
        OSError: it cannot be stored.
    """
    entries = [
        Descriptor(
            part.manifest.media_type,
            part.manifest.digest,
            len(part.manifest.data),
            annotations=dict(on_descriptor or {}),
            platform=part.platform,
        )
        for part in parts
    ]
    entries += [_said(part, blobs, lease) for part in parts if part.statements]
    index = manifests.make_index(entries, annotations=dict(annotations or {}))
    lease.hold(index.digest)
    blobs.write(index.data)
    return index


def _said(part: Part, blobs: Blobs, lease: Lease) -> Descriptor:
    """Write what is said of an image; the entry for it."""
    layers = [
        Descriptor(STATEMENT, digests.of(data), len(data), annotations={PREDICATE_TYPE: kind})
        for kind, data in part.statements
    ]
    config = json_text.dumps(
        {
            "architecture": "unknown",
            "os": "unknown",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [each.digest for each in layers]},
        }
    ).encode()
    said = manifests.make_manifest(describe(config), layers)
    lease.hold(said.digest, said.config.digest, *(each.digest for each in layers))
    for data in (*(data for _, data in part.statements), config, said.data):
        blobs.write(data)
    return _reference(said, part.manifest.digest)


def _reference(said: Manifest, digest: str) -> Descriptor:
    return Descriptor(
        said.media_type,
        said.digest,
        len(said.data),
        annotations={_REFERENCE_DIGEST: digest, _REFERENCE_TYPE: _ATTESTATION},
        platform=Platform("unknown", "unknown"),
    )


def gather(
    index: Index,
    chosen: Manifest,
    read: Callable[[Descriptor], bytes],
    fetch: Callable[[Descriptor], None],
    blobs: Blobs,
    lease: Lease,
) -> Index | None:
    """Have what an index says of an image of it, and an index of that alone; None if it says nothing.

    ``read`` gives the bytes of a manifest, ``fetch`` makes sure that a blob is there; both raise NotFound for what is not
    to be had, since many who copy images leave attestations out. What goes beyond all bounds is left out too.

    Raises:
        InvalidImage, DigestMismatch: one is broken.
        OrlopError, OSError: whatever ``read`` and ``fetch`` raise.
    """
    kept: list[Descriptor] = []
    for descriptor in of(index, chosen.digest)[:_MOST_MANIFESTS]:
        if descriptor.media_type not in media_types.MANIFESTS or descriptor.size > manifests.LARGEST:
            continue
        try:
            data = read(descriptor)
            said = Manifest.parse(data, descriptor.media_type, f"the attestation {descriptor.digest}")
            parts = [said.config, *said.layers]
            if len(parts) > _MOST_STATEMENTS or any(each.size > _LARGEST_STATEMENT for each in parts):
                continue
            lease.hold(said.digest, *(each.digest for each in parts))
            for each in parts:
                fetch(each)
        except NotFound:
            continue
        if said.digest != descriptor.digest:
            raise InvalidImage(f"the attestation {descriptor.digest} is something else")
        blobs.write(data)
        kept.append(descriptor)
    if not kept:
        return None
    there = {chosen.digest, *(each.digest for each in kept)}
    entries = [each for each in index.manifests if each.digest in there]
    made = index
    if len(entries) < len(index.manifests):
        made = manifests.make_index(entries, media_type=index.media_type, annotations=index.annotations)
    lease.hold(made.digest)
    blobs.write(made.data)
    return made


def moved(index: Index, old: Manifest, new: Manifest, blobs: Blobs, lease: Lease) -> Index:
    """An index that says of a manifest what another one says of the same image, whose layers were stored otherwise.

    Raises:
        NotFound: something of it is gone.
        OSError: it cannot be stored.
    """
    entries = []
    for descriptor in index.manifests:
        if descriptor.digest == old.digest:
            entries.append(
                Descriptor(
                    new.media_type,
                    new.digest,
                    len(new.data),
                    annotations=descriptor.annotations,
                    platform=descriptor.platform,
                )
            )
            continue
        if subject_of(descriptor) != old.digest:
            entries.append(descriptor)
            continue
        said = Manifest.parse(blobs.read(descriptor.digest), descriptor.media_type)
        entries.append(_reference(_said_of(said, old, new, blobs, lease), new.digest))
    made = manifests.make_index(entries, media_type=index.media_type, annotations=index.annotations)
    lease.hold(made.digest)
    blobs.write(made.data)
    return made


def _said_of(said: Manifest, old: Manifest, new: Manifest, blobs: Blobs, lease: Lease) -> Manifest:
    layers = []
    for layer in said.layers:
        data = blobs.read(layer.digest, _LARGEST_STATEMENT)
        if layer.media_type == STATEMENT:
            data = _about(data, old.digest, new.digest)
            lease.hold(digests.of(data))
            blobs.write(data)
        layers.append(Descriptor(layer.media_type, digests.of(data), len(data), annotations=layer.annotations))
    config = blobs.read(said.config.digest)
    for before, after in zip(said.layers, layers, strict=True):
        config = config.replace(before.digest.encode(), after.digest.encode())
    described = describe(config, said.config.media_type)
    backward = new.descriptor if said.subject is not None and said.subject.digest == old.digest else said.subject
    made = manifests.make_manifest(
        described,
        layers,
        media_type=said.media_type,
        annotations=said.annotations,
        artifact_type=said.artifact_type,
        subject=backward,
    )
    lease.hold(described.digest, made.digest)
    blobs.write(config)
    blobs.write(made.data)
    return made


def _about(data: bytes, old: str, new: str) -> bytes:
    """A statement whose subjects that had one digest have another one; itself if it is not of that form."""
    try:
        document = json_text.loads(data)
        subjects = document["subject"]
        for each in subjects:
            algorithm, _, encoded = old.partition(":")
            if each["digest"].get(algorithm) == encoded:
                each["digest"] = subject("", new)["digest"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return data
    return json_text.dumps(document).encode()


def documents(index: Index, blobs: Blobs) -> list[Manifest]:
    """The manifests of all attestations in an index that is stored.

    Raises:
        NotFound: one is gone: somebody removed the image meanwhile.
    """
    return [
        Manifest.parse(blobs.read(each.digest), each.media_type)
        for each in index.manifests
        if each.annotations.get(_REFERENCE_TYPE) == _ATTESTATION
    ]
