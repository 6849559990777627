"""Registries whose content lies: nothing is kept that is not what its digest and size say."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import DigestMismatch, InvalidImage, RegistryError
from orlop.images import media_types
from orlop.images.manifest import Descriptor
from orlop.images.reference import parse
from orlop.images.registry.fetch import fetch_blob
from orlop.storage import digest as digests
from tests.security.registries.content import AS_MANIFEST, DATA, DIGEST, LAYER, MANIFEST

if TYPE_CHECKING:
    from orlop.storage.blobs import Blobs
    from tests.security.registries.content import Connect, Serve


def test_a_manifest_that_is_not_what_its_digest_names_is_refused(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _r, _h: (200, AS_MANIFEST, MANIFEST.data + b" "))
    with pytest.raises(DigestMismatch):
        connect(server).manifest("a/b", MANIFEST.digest)


def test_a_manifest_that_is_not_what_the_registry_says_is_refused(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _r, _h: (200, AS_MANIFEST | {"Docker-Content-Digest": DIGEST}, MANIFEST.data))
    registry = connect(server)
    with pytest.raises(DigestMismatch):
        registry.manifest("a/b", "1")
    found = registry.resolve(parse(f"{server.authority}/a/b:1"))
    with pytest.raises(DigestMismatch):
        registry.manifest("a/b", found.digest)
    with pytest.raises(DigestMismatch):
        registry.resolve(parse(f"{server.authority}/a/b@{MANIFEST.digest}"))


@pytest.mark.parametrize("body", [DATA[:-1] + b"X", DATA + b"more", DATA[:-1], b""])
def test_a_blob_of_other_content_or_another_size_is_refused_and_not_kept(
    serve: Serve, connect: Connect, blobs: Blobs, body: bytes
) -> None:
    for headers in ({}, {"Connection": "close", "Transfer-Encoding": "chunked"}):
        sent = body if not headers else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        server = serve(lambda _r, _h, headers=headers, sent=sent: (200, headers, sent))
        with pytest.raises(DigestMismatch):
            fetch_blob(connect(server), "a/b", LAYER, blobs)
        assert not blobs.has(DIGEST)


def test_a_part_that_was_not_asked_for_is_refused(serve: Serve, connect: Connect, blobs: Blobs) -> None:
    with blobs.ingest(DIGEST, len(DATA)) or pytest.fail("it is there") as ingest:
        ingest.write(DATA[:100])
    server = serve(lambda _r, _h: (206, {"Content-Range": f"bytes 50-{len(DATA) - 1}/{len(DATA)}"}, DATA[50:]))
    with pytest.raises(RegistryError, match="another part"):
        fetch_blob(connect(server), "a/b", LAYER, blobs)


def test_a_mirror_that_lies_is_passed_over(serve: Serve, connect: Connect, blobs: Blobs) -> None:
    liar = serve(lambda _r, _h: (200, AS_MANIFEST, b"lies"))
    server = serve(lambda r, _h: (200, AS_MANIFEST, DATA if "/blobs/" in r.path else MANIFEST.data))
    registry = connect(server, registries={server.authority: {"mirrors": [f"http://{liar.authority}"]}})
    assert registry.manifest("a/b", MANIFEST.digest)[0] == MANIFEST.data
    assert fetch_blob(registry, "a/b", LAYER, blobs)
    assert liar.asked("/blobs/")
    assert liar.asked("/manifests/")


def test_a_blob_is_stored_as_it_was_sent_whatever_its_encoding_is_called(
    serve: Serve, connect: Connect, blobs: Blobs
) -> None:
    packed = gzip.compress(DATA, mtime=0)
    server = serve(lambda _r, _h: (200, {"Content-Encoding": "gzip"}, packed))
    fetch_blob(connect(server), "a/b", Descriptor(media_types.OCI_LAYER_GZIP, digests.of(packed), len(packed)), blobs)
    assert blobs.read(digests.of(packed)) == packed


@pytest.mark.parametrize("status", [200, 405])
def test_a_registry_that_says_too_little_about_a_manifest_is_asked_for_it(
    serve: Serve, connect: Connect, status: int
) -> None:
    def answer(request: Any, _handler: Any) -> Any:
        if request.method == "HEAD":
            return status, {"Content-Type": "text/plain"}, b""
        return 200, {"Content-Type": "text/plain"}, MANIFEST.data

    found = connect(serve(answer)).resolve(parse("127.0.0.1/a/b:1"))
    assert found == MANIFEST.descriptor


def test_inlined_content_is_stored_without_asking_anybody(serve: Serve, connect: Connect, blobs: Blobs) -> None:
    server = serve()
    inlined = Descriptor("x/y", DIGEST, len(DATA), data=DATA)
    assert fetch_blob(connect(server), "a/b", inlined, blobs)
    assert blobs.read(DIGEST) == DATA
    assert server.requests == []
    lying = Descriptor("x/y", digests.of(b"other"), len(DATA), data=DATA)
    with pytest.raises(DigestMismatch):
        fetch_blob(connect(server), "a/b", lying, blobs)


def test_what_refers_to_an_image_is_checked_like_everything_else(serve: Serve, connect: Connect) -> None:
    entry = {"mediaType": "x/y", "digest": "sha256:../../x", "size": 1}
    server = serve(lambda _r, _h: (200, {}, {"schemaVersion": 2, "manifests": [entry]}))
    with pytest.raises(InvalidImage):
        connect(server).referrers("a/b", DIGEST)
