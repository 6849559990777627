"""A hostile registry, and a client that gives up soon."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest

from orlop.images.registry.client import Registry
from orlop.images.registry.hosts import RegistryOptions
from orlop.storage.blobs import Blobs
from tests.integration.images.servers import Authority
from tests.security.hostile_registry import HostileServer
from tests.security.registries.content import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.security.registries.content import Connect, Serve


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
