"""Images that a client has pushed and pulled, with a real registry that wants credentials."""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.api.served import Served
from tests.integration.engine.conftest import Engine
from tests.integration.engine.image_maker import make
from tests.integration.images.servers import PASSWORD, USER, Server, passwords

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[Served]:
    """A server where the registry is: on this machine's own network."""
    directory = tmp_path_factory.mktemp("served")
    made = Served(directory, Engine(directory, rootfs), environment={"DOCKER_CONFIG": str(directory / "own")})
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


@pytest.fixture
def own_credentials(served: Served, registry: Server) -> Iterator[None]:
    """The server's user has credentials for the registry, which are none of its clients' business."""
    own = Path(served.path).parent / "own" / "config.json"
    own.parent.mkdir()
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    own.write_text(json.dumps({"auths": {registry.authority: {"auth": auth}}}))
    yield
    own.unlink()
    own.parent.rmdir()


def context(**files: str) -> bytes:
    """An archive of files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


@pytest.mark.usefixtures("own_credentials")
def test_a_build_has_the_clients_credentials_and_no_others(served: Served, registry: Server) -> None:
    name = f"{registry.authority}/team/base:1"
    served.ok("tag", "plain", name)
    served.ok("login", "-u", USER, "--password-stdin", registry.authority, given=PASSWORD.encode())
    served.ok("push", name)
    served.ok("rmi", name)
    files = context(Dockerfile=f"FROM {name}\nRUN echo built\n")
    given = {"username": USER, "password": PASSWORD, "serveraddress": registry.authority}
    for known, is_let_in in (
        ({}, False),
        ({"https://elsewhere": given}, False),
        ({registry.authority: {**given, "password": "wrong"}}, False),
        ({registry.authority: given}, True),
        (
            {f"https://{registry.authority}/v1/": {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}},
            True,
        ),
    ):
        header = base64.urlsafe_b64encode(json.dumps(known).encode()).decode()
        answer = served("POST", "/build?networkmode=none&pull=1", files, {"X-Registry-Config": header})
        assert (b"Successfully built" in answer.body) == is_let_in, (known, answer)
        assert PASSWORD.encode() not in answer.body
    assert served("POST", "/build", files, {"X-Registry-Config": "no"}).status == 400
    assert served("POST", f"/images/create?fromImage={registry.authority}/team/base&tag=1").status == 401
    served.ok("rmi", name)


@pytest.mark.usefixtures("own_credentials")
def test_git_is_not_told_the_servers_secrets_for_a_build(served: Served, tmp_path: Path) -> None:
    asked: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization"))
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as guarded:
        threading.Thread(target=guarded.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{guarded.server_port}/a.git"
        home = tmp_path / "home"
        home.mkdir()
        (home / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
        os.chmod(home / ".netrc", 0o600)
        other = Served(tmp_path, served.engine, environment={"HOME": str(home)})
        try:
            answer = other("POST", f"/build?remote={address}")
        finally:
            other.stop()
            guarded.shutdown()
    assert b"git cannot" in answer.body, answer
    assert asked
    assert set(asked) == {None}


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
