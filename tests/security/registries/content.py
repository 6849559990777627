"""What the hostile registries of these tests have, and how they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orlop.images import media_types
from orlop.images.manifest import Descriptor, make_manifest
from orlop.images.registry.credentials import Credential
from orlop.storage import digest as digests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orlop.images.registry.client import Registry
    from tests.integration.images.servers import Authority
    from tests.security.hostile_registry import HostileServer

    Serve = Callable[..., HostileServer]
    Connect = Callable[..., Registry]

SECRET = Credential("captain", "secret")
BASIC = {"WWW-Authenticate": 'Basic realm="x"'}
DATA = b"layer" * 1000
DIGEST = digests.of(DATA)
LAYER = Descriptor(media_types.OCI_LAYER, DIGEST, len(DATA))
MANIFEST = make_manifest(LAYER, [LAYER])
AS_MANIFEST = {"Content-Type": MANIFEST.media_type}


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


def endless(handler: Any, piece: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", MANIFEST.media_type)
    handler.end_headers()
    handler.close_connection = True
    for _ in range(1 << 20):
        handler.wfile.write(piece)
