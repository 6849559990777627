"""How a registry is reached and who may do what: TLS, passwords, tokens, logging in and out."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from orlop.errors import InvalidArgument, Unauthorized
from orlop.images.registry import credentials
from orlop.images.registry.credentials import Credential
from orlop.images.registry.hosts import RegistryOptions
from orlop.images.registry.login import login, logout
from orlop.images.registry.refusals import NoConnection, Untrusted
from tests.integration.images.content import push_bytes, push_image
from tests.integration.images.servers import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orlop.images.registry.client import Registry
    from tests.integration.images.servers import Authority, Server, TokenServer

    Connect = Callable[..., Registry]


def certificates(directory: Path, authority: Authority, server: Server, *, client: bool = True) -> tuple[str, ...]:
    """A directory like /etc/docker/certs.d that has what the TLS server wants."""
    own = directory / "certs.d" / server.authority
    own.mkdir(parents=True)
    (own / "ca.crt").symlink_to(authority.certificate)
    if client:
        (own / "client.cert").symlink_to(authority.directory / "client.crt")
        (own / "client.key").symlink_to(authority.directory / "client.key")
    return (str(directory / "certs.d"),)


def test_a_private_authority_and_a_client_certificate_open_a_registry(
    tls_server: Server, authority: Authority, connect: Connect, tmp_path: Path
) -> None:
    directories = certificates(tmp_path, authority, tls_server)
    registry = connect(tls_server.authority, certificate_directories=directories)
    image = push_image(registry, "test/tls", "1")
    assert registry.manifest("test/tls", "1")[2] == image.digest
    assert registry.endpoint.origin.scheme == "https"


def test_a_certificate_of_nobody_known_is_not_trusted_even_on_loopback(tls_server: Server, connect: Connect) -> None:
    with pytest.raises(Untrusted, match=rf"certs\.d/{tls_server.authority}/ca\.crt"):
        connect(tls_server.authority).tags("a")


def test_a_server_that_wants_a_client_certificate_is_named(
    tls_server: Server, authority: Authority, connect: Connect, tmp_path: Path
) -> None:
    directories = certificates(tmp_path, authority, tls_server, client=False)
    with pytest.raises(Untrusted, match="certificate required|bad certificate"):
        connect(tls_server.authority, certificate_directories=directories).tags("a")


def test_an_insecure_registry_needs_no_trusted_certificate(
    tls_server: Server, authority: Authority, connect: Connect, tmp_path: Path
) -> None:
    directories = certificates(tmp_path, authority, tls_server)
    os.unlink(f"{directories[0]}/{tls_server.authority}/ca.crt")
    configured = {tls_server.authority: {"insecure": True}}
    registry = connect(tls_server.authority, certificate_directories=directories, registries=configured)
    push_image(registry, "test/insecure", "1")
    assert registry.endpoint.origin.scheme == "https"


def test_a_certificate_that_is_none_is_named(tls_server: Server, connect: Connect, tmp_path: Path) -> None:
    own = tmp_path / "certs.d" / tls_server.authority
    own.mkdir(parents=True)
    registry = connect(tls_server.authority, certificate_directories=(str(tmp_path / "certs.d"),))
    (own / "ca.crt").write_text("nonsense")
    with pytest.raises(InvalidArgument, match=r"ca\.crt cannot be used"):
        registry.tags("a")
    (own / "ca.crt").unlink()
    (own / "client.cert").write_text("nonsense")
    with pytest.raises(InvalidArgument, match=r"has no key client\.key beside it"):
        registry.tags("a")


def test_nobody_there_is_said_at_once(connect: Connect) -> None:
    with pytest.raises(NoConnection, match="cannot connect to 127.0.0.1:9: connection refused"):
        connect("127.0.0.1:9").tags("a")


def test_plain_http_is_for_loopback_and_for_what_is_configured() -> None:
    options = RegistryOptions(environment={}, registries={"lan:5000": {"insecure": True}}, insecure=("other:5000",))
    assert options.servers("localhost:5000")[0].schemes == ("https", "http")
    assert options.servers("127.1.2.3")[0].schemes == ("https", "http")
    assert options.servers("[::1]:5000")[0].schemes == ("https", "http")
    assert options.servers("lan:5000")[0].schemes == ("https", "http")
    assert options.servers("other:5000")[0].schemes == ("https", "http")
    assert options.servers("example.com")[0].schemes == ("https",)
    assert options.servers("localhost.example.com")[0].schemes == ("https",)
    assert options.servers("docker.io")[0].authority == "registry-1.docker.io"


def test_anybody_may_pull_what_is_public_and_nothing_else(
    guarded_server: Server, token_server: TokenServer, connect: Connect
) -> None:
    owner = connect(guarded_server.authority, credentials=lambda _: Credential(USER, PASSWORD))
    image = push_image(owner, "public/app", "1")
    push_image(owner, "private/app", "1")
    anybody = connect(guarded_server.authority)
    assert anybody.manifest("public/app", "1")[2] == image.digest
    with pytest.raises(Unauthorized):
        anybody.manifest("private/app", "1")
    with pytest.raises(Unauthorized):
        push_bytes(anybody, "public/app", b"new")


def test_a_token_serves_until_its_end_and_each_repository_needs_its_own(
    guarded_server: Server, token_server: TokenServer, connect: Connect
) -> None:
    owner = connect(guarded_server.authority, credentials=lambda _: Credential(USER, PASSWORD))
    image = push_image(owner, "public/one", "1")
    anybody = connect(guarded_server.authority)
    token_server.requests.clear()
    for _ in range(3):
        anybody.manifest("public/one", "1")
        anybody.has_manifest("public/one", image.digest)
    scopes = [request.get("scope") for request in token_server.requests]
    assert scopes == [["repository:public/one:pull"]]
    assert owner.mount_blob("public/two", image.layers[0].digest, "public/one")
    assert token_server.requests[-1]["scope"] == ["repository:public/one:pull", "repository:public/two:pull,push"]
    assert token_server.requests[-1]["account"] == [USER]


def test_a_token_that_the_registry_no_longer_takes_is_replaced(
    guarded_server: Server, token_server: TokenServer, connect: Connect
) -> None:
    owner = connect(guarded_server.authority, credentials=lambda _: Credential(USER, PASSWORD))
    push_image(owner, "public/again", "1")
    tokens = owner.endpoint.tokens()
    for key, (token, end) in tokens._known.items():
        tokens._known[key] = token[:-8] + "AAAAAAAA", end
    push_image(owner, "public/again", "2", b"another layer")


def test_a_wrong_password_is_refused_without_end(
    guarded_server: Server, password_server: Server, connect: Connect
) -> None:
    for server in (guarded_server, password_server):
        registry = connect(server.authority, credentials=lambda _: Credential(USER, "wrong"))
        with pytest.raises(Unauthorized):
            registry.manifest("public/app", "1")


def configuration(home: dict[str, str]) -> Path:
    from pathlib import Path

    return Path(home["HOME"]) / ".docker" / "config.json"


def test_who_logs_in_can_push_and_who_logs_out_cannot(
    password_server: Server, connect: Connect, home: dict[str, str]
) -> None:
    domain = password_server.authority
    options = RegistryOptions(environment=home, registries={})
    path = configuration(home)
    path.parent.mkdir()
    path.write_text('{"detachKeys": "ctrl-x", "auths": {"other.example.com": {"auth": "YTpi"}}}')
    path.chmod(0o644)
    kept = login(domain, USER, PASSWORD, options)
    assert (kept.place, kept.is_plain) == (str(path), True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = json.loads(path.read_text())
    assert written["detachKeys"] == "ctrl-x"
    assert set(written["auths"]) == {"other.example.com", domain}
    push_image(connect(domain), "test/login", "1")
    assert logout(domain, home)
    assert not logout(domain, home)
    assert set(json.loads(path.read_text())["auths"]) == {"other.example.com"}
    with pytest.raises(Unauthorized):
        connect(domain).manifest("test/login", "1")
    assert os.listdir(path.parent) == ["config.json"]


def test_logging_out_where_nobody_logged_in_leaves_no_trace(home: dict[str, str]) -> None:
    assert not logout("example.com", home)
    assert os.listdir(home["HOME"]) == []


def test_a_login_that_is_refused_keeps_nothing(password_server: Server, home: dict[str, str]) -> None:
    options = RegistryOptions(environment=home, registries={})
    with pytest.raises(Unauthorized, match="the user name or the password is wrong"):
        login(password_server.authority, USER, "wrong", options)
    assert not configuration(home).exists()


def test_an_identity_token_is_kept_instead_of_the_password_and_used(
    guarded_server: Server, token_server: TokenServer, connect: Connect, home: dict[str, str]
) -> None:
    domain = guarded_server.authority
    login(domain, USER, PASSWORD, RegistryOptions(environment=home, registries={}))
    entry = json.loads(configuration(home).read_text())["auths"][domain]
    assert entry["identitytoken"] == token_server.identity_token
    assert PASSWORD not in configuration(home).read_text()
    token_server.requests.clear()
    push_image(connect(domain), "private/identity", "1")
    assert {request["method"] for request in token_server.requests} == {"POST"}


@pytest.fixture
def helper(tmp_path: Path, home: dict[str, str]) -> Path:
    """A credential helper that keeps credentials in files."""
    directory = tmp_path / "helpers"
    directory.mkdir()
    program = directory / "docker-credential-files"
    program.write_text(
        "#!/bin/sh\n"
        f'store="{tmp_path}/store"\n'
        'case "$1" in\n'
        'store) cat > "$store";;\n'
        'get) [ -e "$store" ] || { echo "credentials not found in native keychain"; exit 1; }; cat "$store";;\n'
        'erase) rm "$store";;\n'
        "esac\n"
    )
    program.chmod(0o755)
    home["PATH"] = f"{directory}:/usr/bin:/bin"
    return tmp_path / "store"


def test_a_credential_helper_keeps_what_the_file_does_not(
    password_server: Server, connect: Connect, home: dict[str, str], helper: Path
) -> None:
    domain = password_server.authority
    path = configuration(home)
    path.parent.mkdir()
    path.write_text(json.dumps({"credHelpers": {domain: "files"}}))
    kept = login(domain, USER, PASSWORD, RegistryOptions(environment=home, registries={}))
    assert (kept.place, kept.is_plain) == ("docker-credential-files", False)
    assert json.loads(helper.read_text()) == {"ServerURL": domain, "Username": USER, "Secret": PASSWORD}
    assert json.loads(path.read_text())["auths"] == {domain: {}}
    push_image(connect(domain), "test/helper", "1")
    assert logout(domain, home)
    assert not helper.exists()
    assert credentials.lookup(domain, home) is None
