"""Images that a client has pushed and pulled, with a real registry that wants credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.api.served import Served
from tests.integration.engine.conftest import Engine
from tests.integration.engine.image_maker import make
from tests.integration.images.servers import PASSWORD, USER, Server, passwords

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[Served]:
    """A server where the registry is: on this machine's own network."""
    directory = tmp_path_factory.mktemp("served")
    made = Served(directory, Engine(directory, rootfs))
    try:
        make(made.engine, "plain:latest")
        yield made
    finally:
        made.close()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Server]:
    """A registry that wants a password."""
    made = Server(tmp_path / "registry", **passwords(tmp_path))
    yield made
    made.stop()


def test_a_client_pushes_and_pulls_with_its_own_credentials(served: Served, registry: Server) -> None:
    name = f"{registry.authority}/team/app:1"
    served.ok("tag", "plain", name)
    assert served.docker("push", name).code == 1
    wrong = served.docker("login", "-u", USER, "--password-stdin", registry.authority, given=b"wrong")
    assert wrong.code == 1
    served.ok("login", "-u", USER, "--password-stdin", registry.authority, given=PASSWORD.encode())
    assert "1: digest: sha256:" in served.ok("push", name)
    served.ok("rmi", name)
    # Credentials are the client's, and are forgotten with its request.
    refused = served("POST", f"/images/create?fromImage={registry.authority}/team/app&tag=1")
    assert refused.status == 401, refused
    assert f"Status: Downloaded newer image for {name}" in served.ok("pull", name)
    missing = served.docker("pull", f"{registry.authority}/team/app:2")
    assert missing.code == 1
    assert "not found" in missing.err
    assert served.ok("run", "--rm", "--network", "none", name, "echo", "here") == "here\n"
    assert f"{registry.authority}/team/app@sha256:" in served.ok("inspect", "-f", "{{.RepoDigests}}", name)
    served.ok("rmi", name)
