"""Registries that try to get at secrets: credentials and tokens go to nobody but whom they are for."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import OrlopError, RegistryError, Unauthorized
from orlop.images import media_types
from orlop.images.manifest import Descriptor
from orlop.images.registry.fetch import fetch_blob
from tests.security.registries.content import (
    AS_MANIFEST,
    BASIC,
    DATA,
    DIGEST,
    LAYER,
    MANIFEST,
    SECRET,
    guarded,
    trusting,
)

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from orlop.storage.blobs import Blobs
    from tests.integration.images.servers import Authority
    from tests.security.hostile_registry import HostileServer
    from tests.security.registries.content import Connect, Serve


def test_cve_2020_15157_credentials_do_not_follow_a_redirect(serve: Serve, connect: Connect, blobs: Blobs) -> None:
    elsewhere = serve(lambda _request, _handler: (200, {}, DATA))
    server = serve(guarded(lambda _r, _h: (307, {"Location": f"http://{elsewhere.authority}/blob"}, b"")))
    assert fetch_blob(connect(server), "a/b", LAYER, blobs)
    assert server.asked("/blobs/")[-1].headers["authorization"] == SECRET.basic()
    assert [request.headers.get("authorization") for request in elsewhere.requests] == [None]


def test_cve_2020_15157_whoever_is_redirected_to_gets_no_credentials_by_asking(
    serve: Serve, connect: Connect, blobs: Blobs
) -> None:
    realm = serve()
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{realm.authority}/token",service="x", Basic realm="y"'}
    elsewhere = serve(lambda _request, _handler: (401, challenge, b""))
    server = serve(guarded(lambda _r, _h: (307, {"Location": f"http://{elsewhere.authority}/blob"}, b"")))
    with pytest.raises(Unauthorized, match=elsewhere.authority):
        fetch_blob(connect(server), "a/b", LAYER, blobs)
    assert realm.requests == []
    assert all("authorization" not in request.headers for request in elsewhere.requests)


def test_cve_2020_15157_the_url_of_a_foreign_layer_gets_no_credentials(
    serve: Serve, connect: Connect, blobs: Blobs
) -> None:
    elsewhere = serve(lambda _request, _handler: (401, BASIC, b""))
    server = serve(guarded(lambda _r, _h: (200, {}, b"{}")))
    registry = connect(server)
    registry.endpoint.ping()
    foreign = Descriptor(
        media_types.DOCKER_FOREIGN_LAYER_GZIP, DIGEST, len(DATA), urls=[f"http://{elsewhere.authority}/layer"]
    )
    with pytest.raises(Unauthorized):
        fetch_blob(registry, "a/b", foreign, blobs)
    assert elsewhere.requests
    assert all("authorization" not in request.headers for request in elsewhere.requests)


def test_credentials_do_not_come_back_with_a_redirect_that_went_elsewhere(serve: Serve, connect: Connect) -> None:
    server: HostileServer
    elsewhere = serve(lambda _r, _h: (307, {"Location": f"http://{server.authority}/v2/trap"}, b""))

    def answer(request: Any, _handler: Any) -> Any:
        if "trap" in request.path:
            return 200, AS_MANIFEST, MANIFEST.data
        return 307, {"Location": f"http://{elsewhere.authority}/"}, b""

    server = serve(
        lambda request, handler: (
            answer(request, handler) if "trap" in request.path else guarded(answer)(request, handler)
        )
    )
    connect(server).manifest("a/b", "1")
    assert [request.headers.get("authorization") for request in server.asked("trap")] == [None]


def test_a_redirect_out_of_tls_is_not_followed(
    serve: Serve, connect: Connect, tls: ssl.SSLContext, authority: Authority, tmp_path: Path
) -> None:
    elsewhere = serve(lambda _r, _h: (200, AS_MANIFEST, MANIFEST.data))
    server = serve(lambda _r, _h: (302, {"Location": f"http://{elsewhere.authority}/"}, b""), tls)
    registry = connect(server, insecure=(), certificate_directories=trusting(authority, server, tmp_path))
    with pytest.raises(RegistryError, match="which is without TLS"):
        registry.manifest("a/b", "1")
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://user:password@127.0.0.1/x",
        "http://",
        "http://[::1",
        "//",
        "http://a b/",
        "http://127.0.0.1:99999/",
        "javascript:alert(1)",
        "http://127.0.0.1\\@example.com/",
    ],
)
def test_a_redirect_to_what_is_no_place_of_the_web_is_refused(serve: Serve, connect: Connect, location: str) -> None:
    server = serve(lambda _r, _h: (302, {"Location": location}, b""))
    with pytest.raises(OrlopError):
        connect(server).manifest("a/b", "1")


def test_redirects_that_never_end_are_given_up(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _r, _h: (302, {"Location": "/v2/again"}, b""))
    with pytest.raises(RegistryError, match="more than 10 times"):
        connect(server).manifest("a/b", "1")
    assert len(server.asked("again")) <= 10


def test_a_token_realm_without_tls_is_not_asked_by_a_registry_with_tls(
    serve: Serve, connect: Connect, tls: ssl.SSLContext, authority: Authority, tmp_path: Path
) -> None:
    realm = serve(lambda _r, _h: (200, {}, {"token": "x"}))
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{realm.authority}/token",service="x"'}
    server = serve(lambda _r, _h: (401, challenge, b""), tls)
    registry = connect(server, insecure=(), certificate_directories=trusting(authority, server, tmp_path))
    with pytest.raises(RegistryError, match="which is without TLS"):
        registry.manifest("a/b", "1")
    assert realm.requests == []


@pytest.mark.parametrize("realm", ["http://localhost:{port}/token", "file:///etc/passwd", "", "gopher://x/", "http://"])
def test_a_token_realm_elsewhere_without_tls_gets_no_credentials(serve: Serve, connect: Connect, realm: str) -> None:
    evil = serve(lambda _r, _h: (200, {}, {"token": "x"}))
    named = realm.format(port=evil.port)
    server = serve(lambda _r, _h: (401, {"WWW-Authenticate": f'Bearer realm="{named}",service="x"'}, b""))
    with pytest.raises(OrlopError):
        connect(server).manifest("a/b", "1")
    assert evil.requests == []


@pytest.mark.parametrize("document", [[], {}, {"token": 1}, {"token": "a\r\nX-Evil: 1"}, {"token": "a" * 100_000}, "x"])
def test_a_token_that_is_none_is_refused(serve: Serve, connect: Connect, document: Any) -> None:
    def answer(request: Any, _handler: Any) -> Any:
        if "/token" in request.path:
            return 200, {}, document
        return 401, {"WWW-Authenticate": f'Bearer realm="http://{server.authority}/token"'}, b""

    server = serve(answer)
    with pytest.raises(RegistryError):
        connect(server).manifest("a/b", "1")
    assert not any("x-evil" in request.headers for request in server.requests)


def test_an_upload_elsewhere_gets_no_credentials(serve: Serve, connect: Connect) -> None:
    elsewhere = serve(lambda _r, _h: (201, {}, b""))
    server = serve(guarded(lambda _r, _h: (202, {"Location": f"http://{elsewhere.authority}/up?a=b"}, b"")))
    connect(server).upload_blob("a/b", DIGEST, len(DATA), lambda offset: io.BytesIO(DATA[offset:]))
    assert [request.headers.get("authorization") for request in elsewhere.requests] == [None]
    assert elsewhere.requests[0].path.startswith("/up?a=b&digest=sha256")
    assert elsewhere.requests[0].body == DATA


@pytest.mark.parametrize("location", ["file:///tmp/x", "http://user@127.0.0.1/", ""])
def test_an_upload_to_what_is_no_place_of_the_web_is_refused(serve: Serve, connect: Connect, location: str) -> None:
    server = serve(lambda _r, _h: (202, {"Location": location}, b""))
    with pytest.raises(RegistryError):
        connect(server).upload_blob("a/b", DIGEST, len(DATA), lambda offset: io.BytesIO(DATA[offset:]))


def test_a_list_is_not_followed_to_another_server(serve: Serve, connect: Connect) -> None:
    elsewhere = serve(lambda _r, _h: (200, {}, {"tags": ["evil"]}))
    link = {"Link": f'<http://{elsewhere.authority}/v2/a/tags/list>; rel="next"'}
    server = serve(guarded(lambda _r, _h: (200, link, {"tags": ["a"]})))
    with pytest.raises(RegistryError, match="elsewhere"):
        connect(server).tags("a")
    assert elsewhere.requests == []
