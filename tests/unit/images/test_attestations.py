"""What is kept of what an index says of an image, whoever made it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import InvalidImage, NotFound
from orlop.images import attestations, media_types, reachable
from orlop.images import manifest as manifests
from orlop.images.config import describe
from orlop.images.manifest import Descriptor, Index
from orlop.images.platform import Platform
from orlop.storage import digest as digests
from orlop.storage.store import Storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orlop.images.manifest import Manifest
    from orlop.storage.leases import Lease

LINUX, UNKNOWN = Platform("linux", "amd64"), Platform("unknown", "unknown")
IMAGE = manifests.make_manifest(describe(b"{}"), [])
OTHER = manifests.make_manifest(describe(b"{ }"), [])


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A store with nothing in it."""
    made = Storage(str(tmp_path), rootless=False)
    made.prepare()
    return made


@pytest.fixture
def lease(storage: Storage) -> Iterator[Lease]:
    """A lease that lasts as long as the test."""
    with storage.leases.take() as made:
        yield made


def entry(of: Manifest, **more: Any) -> Descriptor:
    settings: dict[str, Any] = {"platform": LINUX} | more
    return Descriptor(of.media_type, of.digest, settings.pop("size", len(of.data)), **settings)


def about(of: str) -> dict[str, str]:
    return {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of}


def said(text: str = "statement") -> tuple[Manifest, bytes]:
    data = json.dumps({"subject": [{"name": "x", "digest": {"sha256": IMAGE.digest[7:]}}], "said": text}).encode()
    layer = Descriptor(attestations.STATEMENT, digests.of(data), len(data))
    return manifests.make_manifest(describe(b'{"os":"unknown"}'), [layer]), data


class Elsewhere:
    """A registry that has some things."""

    def __init__(self, storage: Storage, *there: bytes) -> None:
        self.there = {digests.of(each): each for each in there}
        self._blobs = storage.blobs
        self.asked = 0

    def read(self, descriptor: Descriptor) -> bytes:
        self.asked += 1
        if descriptor.digest not in self.there:
            raise NotFound(descriptor.digest)
        return self.there[descriptor.digest]

    def fetch(self, descriptor: Descriptor) -> None:
        self._blobs.write(self.read(descriptor))


def test_what_is_said_of_an_image_is_kept_with_it_and_nothing_else(storage: Storage, lease: Lease) -> None:
    statement, data = said()
    of_other, _ = said("of another")
    listed = manifests.make_index(
        [
            entry(IMAGE),
            entry(OTHER),
            entry(statement, platform=UNKNOWN, annotations=about(IMAGE.digest)),
            entry(of_other, platform=UNKNOWN, annotations=about(OTHER.digest)),
        ]
    )
    elsewhere = Elsewhere(storage, statement.data, data, b'{"os":"unknown"}')
    kept = attestations.gather(listed, IMAGE, elsewhere.read, elsewhere.fetch, storage.blobs, lease)
    assert kept is not None
    assert [each.digest for each in kept.manifests] == [IMAGE.digest, statement.digest]
    storage.blobs.write(IMAGE.data)
    needed = reachable.blobs_of(storage.blobs, [kept.digest])
    assert {kept.digest, IMAGE.digest, statement.digest, digests.of(data)} <= needed


def _missing(listed: list[Descriptor]) -> list[Descriptor]:
    return [*listed, Descriptor(media_types.OCI_MANIFEST, digests.of(b"gone"), 4, annotations=about(IMAGE.digest))]


def _of_another_kind(listed: list[Descriptor]) -> list[Descriptor]:
    return [*listed, Descriptor("application/other", digests.of(b"x"), 1, annotations=about(IMAGE.digest))]


def _too_large(listed: list[Descriptor]) -> list[Descriptor]:
    size = manifests.LARGEST + 1
    return [*listed, Descriptor(media_types.OCI_MANIFEST, digests.of(b"x"), size, annotations=about(IMAGE.digest))]


def _an_index(listed: list[Descriptor]) -> list[Descriptor]:
    return [*listed, Descriptor(media_types.OCI_INDEX, digests.of(b"x"), 1, annotations=about(IMAGE.digest))]


@pytest.mark.parametrize("change", [_missing, _of_another_kind, _too_large, _an_index])
def test_what_is_not_to_be_had_or_is_out_of_bounds_is_left_out(
    storage: Storage, lease: Lease, change: Callable[[list[Descriptor]], list[Descriptor]]
) -> None:
    listed = manifests.make_index(change([entry(IMAGE)]))
    elsewhere = Elsewhere(storage)
    assert attestations.gather(listed, IMAGE, elsewhere.read, elsewhere.fetch, storage.blobs, lease) is None


def test_no_more_than_some_are_asked_for(storage: Storage, lease: Lease) -> None:
    many = [entry(said(str(number))[0], annotations=about(IMAGE.digest)) for number in range(1000)]
    elsewhere = Elsewhere(storage)
    attestations.gather(manifests.make_index(many), IMAGE, elsewhere.read, elsewhere.fetch, storage.blobs, lease)
    assert elsewhere.asked < 50


def test_a_statement_that_is_huge_is_not_fetched(storage: Storage, lease: Lease) -> None:
    layer = Descriptor(attestations.STATEMENT, digests.of(b"x"), 1 << 40)
    huge = manifests.make_manifest(describe(b"{}"), [layer])
    listed = manifests.make_index([entry(IMAGE), entry(huge, annotations=about(IMAGE.digest))])
    elsewhere = Elsewhere(storage, huge.data)
    assert attestations.gather(listed, IMAGE, elsewhere.read, elsewhere.fetch, storage.blobs, lease) is None


def test_an_attestation_that_is_something_else_is_refused(storage: Storage, lease: Lease) -> None:
    statement, data = said()
    listed = manifests.make_index([entry(IMAGE), entry(statement, annotations=about(IMAGE.digest))])
    elsewhere = Elsewhere(storage, data, b'{"os":"unknown"}')
    elsewhere.there[statement.digest] = OTHER.data
    elsewhere.there[OTHER.config.digest] = b"{ }"
    with pytest.raises(InvalidImage, match="is something else"):
        attestations.gather(listed, IMAGE, elsewhere.read, elsewhere.fetch, storage.blobs, lease)


def test_statements_follow_an_image_whose_layers_are_compressed_anew(storage: Storage, lease: Lease) -> None:
    _, data = said()
    index = attestations.attach(
        [attestations.Part(IMAGE, LINUX, [("kind", data)])], storage.blobs, lease, annotations={"a": "b"}
    )
    moved = attestations.moved(index, IMAGE, OTHER, storage.blobs, lease)
    assert moved.annotations == {"a": "b"}
    assert moved.manifests[0].digest == OTHER.digest
    (reference,) = attestations.of(moved, OTHER.digest)
    (manifest,) = attestations.documents(moved, storage.blobs)
    assert manifest.digest == reference.digest
    (layer,) = manifest.layers
    statement = json.loads(storage.blobs.read(layer.digest))
    assert statement["subject"] == [{"name": "x", "digest": {"sha256": OTHER.digest[7:]}}]
    assert layer.digest in storage.blobs.read(manifest.config.digest).decode()
    assert isinstance(Index.parse(storage.blobs.read(moved.digest)), Index)


@pytest.mark.parametrize("content", [b"not json", b"[]", b'{"subject":3}', b'{"subject":[{"digest":[]}]}'])
def test_a_statement_of_another_form_stays_as_it_is(storage: Storage, lease: Lease, content: bytes) -> None:
    index = attestations.attach([attestations.Part(IMAGE, LINUX, [("kind", content)])], storage.blobs, lease)
    (manifest,) = attestations.documents(attestations.moved(index, IMAGE, OTHER, storage.blobs, lease), storage.blobs)
    assert storage.blobs.read(manifest.layers[0].digest) == content
