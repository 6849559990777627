"""Registries that say nothing, or too little too late: nobody waits for them for ever."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import RegistryError
from orlop.images.registry.fetch import fetch_blob
from orlop.images.registry.refusals import Unreachable
from tests.security.registries.content import DATA, LAYER

if TYPE_CHECKING:
    from orlop.storage.blobs import Blobs
    from tests.security.hostile_registry import HostileServer
    from tests.security.registries.content import Connect, Serve


def test_a_server_that_says_nothing_is_given_up(serve: Serve, connect: Connect) -> None:
    server: HostileServer = serve(lambda _r, _h: server.ending.wait(60) and None)
    with pytest.raises(Unreachable, match="does not answer in time"):
        connect(server, attempts=1).manifest("a/b", "1")


def test_closing_a_registry_wakes_who_waits_for_a_silent_server(serve: Serve, connect: Connect) -> None:
    server: HostileServer = serve(lambda _r, _h: server.ending.wait(60) and None)
    registry = connect(server, read_timeout=60)
    errors: list[str] = []

    def ask() -> None:
        try:
            registry.manifest("a/b", "1")
        except RegistryError as error:
            errors.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    assert server.arrived.wait(30)
    registry.close()
    thread.join(30)
    assert errors == ["the transfer was given up"]


def test_a_server_that_dribbles_its_headers_is_given_up(serve: Serve, connect: Connect) -> None:
    def answer(_request: Any, handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not server.ending.wait(0.1):
            handler.wfile.write(b"x")

    server = serve(answer)
    with pytest.raises(RegistryError):
        connect(server, attempts=1).manifest("a/b", "1")


def test_a_server_that_dribbles_a_blob_is_given_up(serve: Serve, connect: Connect, blobs: Blobs) -> None:
    def answer(_request: Any, handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        while not server.ending.wait(0.1):
            handler.wfile.write(b"l")

    server = serve(answer)
    with pytest.raises(Unreachable):
        fetch_blob(connect(server, attempts=1), "a/b", LAYER, blobs)


def test_a_server_that_gives_a_byte_for_each_connection_is_given_up(
    serve: Serve, connect: Connect, blobs: Blobs
) -> None:
    def answer(request: Any, handler: Any) -> None:
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(DATA) - start))
        handler.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        handler.end_headers()
        handler.wfile.write(DATA[start : start + 1])
        handler.close_connection = True

    server = serve(answer)
    with pytest.raises(Unreachable):
        fetch_blob(connect(server, attempts=3), "a/b", LAYER, blobs)
    assert len(server.asked("/blobs/")) == 3
