"""Registries of several kinds, each started once for a module that asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.images.registry.client import Registry
from orlop.images.registry.hosts import RegistryOptions
from tests.integration.images.servers import Authority, Server, TokenServer, passwords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any


@pytest.fixture(scope="module")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry without TLS that takes everything from everybody."""
    server = Server(tmp_path_factory.mktemp("plain"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    """A registry with a certificate of the private authority, which wants one of it from its clients."""
    files = {"certificate": "server.crt", "key": "server.key"}
    tls: dict[str, Any] = {name: str(authority.directory / file) for name, file in files.items()}
    tls["clientcas"] = [str(authority.certificate)]
    server = Server(tmp_path_factory.mktemp("tls"), http={"tls": tls})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def password_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry that wants a name and a password."""
    directory = tmp_path_factory.mktemp("password")
    server = Server(directory, **passwords(directory))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def token_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A token server."""
    server = TokenServer(tmp_path_factory.mktemp("tokens") / "server")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def guarded_server(tmp_path_factory: pytest.TempPathFactory, token_server: TokenServer) -> Iterator[Server]:
    """A registry that wants tokens of the token server."""
    server = Server(tmp_path_factory.mktemp("guarded"), **token_server.configuration())
    yield server
    server.stop()


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with an empty home directory."""
    (tmp_path / "home").mkdir()
    return {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}


@pytest.fixture
def connect(home: dict[str, str]) -> Iterator[Callable[..., Registry]]:
    """Make a client: ``connect(authority, **options)``."""
    made: list[Registry] = []

    def make(domain: str, **options: Any) -> Registry:
        settings: dict[str, Any] = {"environment": home, "registries": {}, "certificate_directories": (), "attempts": 3}
        settings |= options
        made.append(Registry(domain, RegistryOptions(**settings)))
        return made[-1]

    yield make
    for registry in made:
        registry.close()
