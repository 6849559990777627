"""Registries that attack whoever pulls from them: secrets that leave, content that lies, answers without end."""

from __future__ import annotations

import gzip
import io
import os
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import DigestMismatch, InvalidImage, OrlopError, RegistryError, Unauthorized
from orlop.images import media_types
from orlop.images.manifest import LARGEST, Descriptor, make_manifest
from orlop.images.reference import parse
from orlop.images.registry.client import Registry
from orlop.images.registry.credentials import Credential
from orlop.images.registry.fetch import fetch_blob
from orlop.images.registry.hosts import RegistryOptions
from orlop.images.registry.refusals import Unreachable
from orlop.storage import digest as digests
from orlop.storage.blobs import Blobs
from tests.integration.images.servers import Authority
from tests.security.hostile_registry import HostileServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Serve = Callable[..., HostileServer]
    Connect = Callable[..., Registry]

SECRET = Credential("captain", "secret")
BASIC = {"WWW-Authenticate": 'Basic realm="x"'}
DATA = b"layer" * 1000
DIGEST = digests.of(DATA)
LAYER = Descriptor(media_types.OCI_LAYER, DIGEST, len(DATA))
MANIFEST = make_manifest(LAYER, [LAYER])
AS_MANIFEST = {"Content-Type": MANIFEST.media_type}


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server: ``serve(answer)``."""
    made: list[HostileServer] = []

    def start(answer: Any = None, context: ssl.SSLContext | None = None) -> HostileServer:
        made.append(HostileServer(answer, context))
        return made[-1]

    yield start
    for server in made:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make a client with credentials that gives up soon: ``connect(server, **options)``."""
    made: list[Registry] = []

    def make(server: HostileServer | str, **options: Any) -> Registry:
        domain = server if isinstance(server, str) else server.authority
        settings: dict[str, Any] = {
            "environment": {}, "registries": {}, "certificate_directories": (), "credentials": lambda _: SECRET,
            "insecure": (domain,) if "context" not in options else (), "attempts": 2, "read_timeout": 0.4,
            "answer_timeout": 2, "longest_wait": 1,
        }  # fmt: skip
        made.append(Registry(domain, RegistryOptions(**(settings | options))))
        return made[-1]

    yield make
    for registry in made:
        registry.close()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    made = Blobs(str(tmp_path / "images"))
    made.prepare()
    return made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture
def tls(authority: Authority) -> ssl.SSLContext:
    """What a server with a certificate needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.directory / "server.crt", authority.directory / "server.key")
    return context


def trusting(authority: Authority, server: HostileServer, directory: Path) -> tuple[str, ...]:
    """The certificates of a user who trusts a TLS server."""
    (directory / "certs.d" / server.authority).mkdir(parents=True)
    (directory / "certs.d" / server.authority / "ca.crt").symlink_to(authority.certificate)
    return (str(directory / "certs.d"),)


def guarded(inner: Any) -> Any:
    """An answer for who has shown the right credentials."""

    def answer(request: Any, handler: Any) -> Any:
        if request.headers.get("authorization") != SECRET.basic():
            return 401, BASIC, b""
        return inner(request, handler)

    return answer


# Secrets


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


# Content that lies


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


# Answers without end


def endless(handler: Any, piece: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", MANIFEST.media_type)
    handler.end_headers()
    handler.close_connection = True
    for _ in range(1 << 20):
        handler.wfile.write(piece)


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


def test_a_blob_is_stored_as_it_was_sent_whatever_its_encoding_is_called(
    serve: Serve, connect: Connect, blobs: Blobs
) -> None:
    packed = gzip.compress(DATA, mtime=0)
    server = serve(lambda _r, _h: (200, {"Content-Encoding": "gzip"}, packed))
    fetch_blob(connect(server), "a/b", Descriptor(media_types.OCI_LAYER_GZIP, digests.of(packed), len(packed)), blobs)
    assert blobs.read(digests.of(packed)) == packed


def test_nesting_that_is_too_deep_is_an_error_of_the_registrys(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _r, _h: (200, {}, b'{"tags":' * 200_000))
    with pytest.raises(RegistryError, match="did not answer with a JSON object"):
        connect(server).tags("a/b")


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


def test_pages_that_lead_in_circles_are_given_up(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _r, _h: (200, {"Link": '</v2/a/tags/list?n=1>; rel="next"'}, {"tags": ["a"]}))
    with pytest.raises(RegistryError, match="the same page again and again"):
        connect(server).tags("a")


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


# Uploads


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
