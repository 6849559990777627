"""Registries whose answers have no end, or are far larger than they look."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import DigestMismatch, RegistryError, Unauthorized
from orlop.images.manifest import LARGEST
from orlop.images.registry.fetch import fetch_blob
from tests.security.registries.content import AS_MANIFEST, DATA, LAYER, endless

if TYPE_CHECKING:
    from orlop.storage.blobs import Blobs
    from tests.security.registries.content import Connect, Serve


def test_documents_without_end_are_given_up(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _r, handler: endless(handler, b"[" * 65536))
    registry = connect(server, answer_timeout=30)
    with pytest.raises(RegistryError, match=f"more than {LARGEST} bytes"):
        registry.manifest("a/b", "1")
    with pytest.raises(RegistryError, match="sent more than"):
        registry.tags("a/b")


def test_a_refusal_without_end_is_still_a_refusal(serve: Serve, connect: Connect) -> None:
    def answer(_request: Any, handler: Any) -> None:
        handler.send_response(403)
        handler.end_headers()
        handler.close_connection = True
        for _ in range(1 << 20):
            handler.wfile.write(b"x" * 65536)

    with pytest.raises(Unauthorized, match="does not allow it"):
        connect(serve(answer)).manifest("a/b", "1")


def test_a_blob_without_end_stops_at_its_size(serve: Serve, connect: Connect, blobs: Blobs) -> None:
    server = serve(lambda _r, handler: endless(handler, DATA))
    with pytest.raises(DigestMismatch, match="larger than"):
        fetch_blob(connect(server), "a/b", LAYER, blobs)
    assert os.listdir(blobs.ingests) == []


def test_a_document_that_is_a_bomb_is_not_unpacked(serve: Serve, connect: Connect) -> None:
    bomb = gzip.compress(bytes(1 << 20))
    server = serve(lambda _r, _h: (200, AS_MANIFEST | {"Content-Encoding": "gzip"}, bomb))
    registry = connect(server)
    with pytest.raises(RegistryError, match="encoded as gzip, unasked"):
        registry.manifest("a/b", "1")
    with pytest.raises(RegistryError, match="encoded as gzip, unasked"):
        registry.tags("a/b")
    assert {request.headers["accept-encoding"] for request in server.requests} == {"identity"}


def test_nesting_that_is_too_deep_is_an_error_of_the_registrys(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _r, _h: (200, {}, b'{"tags":' * 200_000))
    with pytest.raises(RegistryError, match="did not answer with a JSON object"):
        connect(server).tags("a/b")


def test_pages_that_lead_in_circles_are_given_up(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _r, _h: (200, {"Link": '</v2/a/tags/list?n=1>; rel="next"'}, {"tags": ["a"]}))
    with pytest.raises(RegistryError, match="the same page again and again"):
        connect(server).tags("a")
