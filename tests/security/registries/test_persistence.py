"""Registries that fail in the middle, refuse, or ask for patience: what is tried again, and how often."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import OrlopError, RegistryError
from orlop.images.registry.credentials import Credential
from orlop.images.registry.fetch import fetch_blob
from orlop.storage import digest as digests
from tests.security.registries.content import AS_MANIFEST, DATA, DIGEST, LAYER, MANIFEST

if TYPE_CHECKING:
    from orlop.storage.blobs import Blobs
    from tests.security.registries.content import Connect, Serve


def test_a_connection_that_breaks_is_taken_up_where_it_broke(serve: Serve, connect: Connect, blobs: Blobs) -> None:
    def answer(request: Any, handler: Any) -> Any:
        if request.headers.get("range") == "bytes=3000-":
            return 206, {"Content-Range": f"bytes 3000-{len(DATA) - 1}/{len(DATA)}"}, DATA[3000:]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:3000])
        return None

    server = serve(answer)
    assert fetch_blob(connect(server), "a/b", LAYER, blobs)
    assert blobs.read(DIGEST) == DATA
    assert len(server.asked("/blobs/")) == 2


def test_trying_again_has_an_end_and_a_wait_that_is_too_long_is_not_waited_for(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _r, _h: (503, {}, b""))
    with pytest.raises(RegistryError, match="status 503"):
        connect(server, attempts=3).manifest("a/b", "1")
    assert len(server.asked("/manifests/")) == 3
    patient = serve(lambda _r, _h: (429, {"Retry-After": "999999"}, b""))
    with pytest.raises(RegistryError, match="try again in 999999 seconds"):
        connect(patient).manifest("a/b", "1")
    assert len(patient.asked("/manifests/")) == 1


def test_a_rate_limit_is_said_as_what_it_is_and_not_hammered(serve: Serve, connect: Connect) -> None:
    headers = {
        "RateLimit-Limit": "100;w=21600",
        "RateLimit-Remaining": "0;w=21600",
        "Docker-RateLimit-Source": "192.0.2.1",
    }
    body = {"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}
    server = serve(lambda _r, _h: (429, headers, body))
    with pytest.raises(RegistryError, match=r"is used up: 100 requests in 6 hours for 192\.0\.2\.1 .*pull rate limit"):
        connect(server).manifest("a/b", "1")
    assert len(server.asked("/manifests/")) == 1


def test_a_server_that_was_busy_for_a_moment_is_asked_again(serve: Serve, connect: Connect) -> None:
    def answer(request: Any, _handler: Any) -> Any:
        if len(server.asked("/manifests/")) == 1:
            return 429, {"Retry-After": "0"}, b""
        return 200, AS_MANIFEST, MANIFEST.data

    server = serve(answer)
    assert connect(server).manifest("a/b", "1")[0] == MANIFEST.data


def test_a_servers_words_cannot_move_the_terminals_cursor(serve: Serve, connect: Connect) -> None:
    body = {"errors": [{"code": "\x1b[2JDENIED", "message": "\x1b]0;evil\x07 a\nb\u202e" + "x" * 5000}]}
    server = serve(lambda _r, _h: (400, {}, body))
    with pytest.raises(RegistryError) as caught:
        connect(server).manifest("a/b", "1")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "body", [{"errors": None}, {"errors": [1, None]}, {"errors": [{"code": 5}]}, [], b"\xff", b"<html>", {"error": {}}]
)
def test_a_refusal_in_any_form_is_understood_by_its_status(serve: Serve, connect: Connect, body: Any) -> None:
    server = serve(lambda _r, _h: (400, {}, body))
    with pytest.raises(RegistryError, match="status 400"):
        connect(server).manifest("a/b", "1")


def test_an_upload_that_breaks_off_goes_on_where_it_ended(serve: Serve, connect: Connect) -> None:
    """As the specification has it, and as not all registries do."""
    data = os.urandom(3 << 20)
    stored = bytearray()

    def answer(request: Any, handler: Any) -> Any:
        if request.method == "POST":
            return 202, {"Location": "/v2/a/b/blobs/uploads/1?state=x"}, b""
        if request.method == "GET":
            return 204, {"Location": "/v2/a/b/blobs/uploads/1?state=y", "Range": f"0-{len(stored) - 1}"}, b""
        if request.method == "PUT" and request.body:
            stored.extend(request.body[: 2 << 20])
            return None  # the connection breaks without an answer
        if request.method == "PATCH":
            assert request.headers["content-range"] == f"{2 << 20}-{(3 << 20) - 1}"
            stored.extend(request.body)
            return 202, {"Location": "/v2/a/b/blobs/uploads/1?state=z", "Range": f"0-{len(stored) - 1}"}, b""
        return 201, {}, b""

    server = serve(answer)
    opened: list[int] = []

    def open_at(offset: int) -> io.BytesIO:
        opened.append(offset)
        return io.BytesIO(data[offset:])

    connect(server, attempts=3).upload_blob("a/b", digests.of(data), len(data), open_at)
    assert bytes(stored) == data
    assert opened == [0, 2 << 20]
    states = [request.path.partition("state=")[2][:1] for request in server.requests if "state=" in request.path]
    assert states == ["x", "x", "y", "z"]


def test_an_upload_that_is_too_much_at_once_is_made_in_smaller_chunks(serve: Serve, connect: Connect) -> None:
    data = bytes(9 << 20)
    stored = bytearray()

    def answer(request: Any, _handler: Any) -> Any:
        if len(request.body) > 3 << 20:
            return 413, {}, b"<html>"
        if request.method == "POST":
            stored.clear()
        stored.extend(request.body)
        return (201 if request.method == "PUT" else 202), {"Location": "/v2/a/b/blobs/uploads/1"}, b""

    connect(serve(answer)).upload_blob("a/b", digests.of(data), len(data), lambda at: io.BytesIO(data[at:]))
    assert stored == data
    stingy = serve(lambda r, _h: (413 if r.body else 202, {"Location": "/v2/a/b/blobs/uploads/1"}, b""))
    with pytest.raises(RegistryError, match="status 413"):
        connect(stingy).upload_blob("a/b", digests.of(data), len(data), lambda at: io.BytesIO(data[at:]))
    assert len(stingy.requests) < 20


def test_an_upload_that_is_always_lost_is_given_up(serve: Serve, connect: Connect) -> None:
    def answer(request: Any, _handler: Any) -> Any:
        return (202, {"Location": "/v2/a/b/blobs/uploads/1"}, b"") if request.method == "POST" else (404, {}, b"")

    server = serve(answer)
    with pytest.raises(OrlopError):
        connect(server, attempts=3).upload_blob("a/b", DIGEST, len(DATA), lambda offset: io.BytesIO(DATA[offset:]))
    assert len([request for request in server.requests if request.method == "PUT"]) == 3


def test_a_proxy_is_used_and_keeps_the_registrys_name(serve: Serve, connect: Connect) -> None:
    proxy = serve(lambda request, _h: (501, {}, b"") if request.method == "CONNECT" else (200, {}, {"tags": ["t"]}))
    environment = {"HTTP_PROXY": f"http://us%65r:pw@{proxy.authority}", "HTTPS_PROXY": f"http://{proxy.authority}"}
    registry = connect("registry.invalid", environment=environment)
    assert registry.tags("a/b") == ["t"]
    assert proxy.requests[-1].path == "http://registry.invalid/v2/a/b/tags/list"
    assert proxy.requests[-1].headers["proxy-authorization"] == Credential("user", "pw").basic()
