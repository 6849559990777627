from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import InvalidArgument
from orlop.images.registry import credentials
from orlop.images.registry.credentials import Credential, lookup

if TYPE_CHECKING:
    from pathlib import Path


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / ".docker").mkdir()
    return {"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}


def configure(home: dict[str, str], value: Any) -> None:
    with open(f"{home['HOME']}/.docker/config.json", "w") as file:
        file.write(value if isinstance(value, str) else json.dumps(value))


def found(home: dict[str, str], domain: str, repository: str = "") -> str | None:
    credential = lookup(domain, home, repository)
    return None if credential is None else f"{credential.username}:{credential.password}"


def helper(home: dict[str, str], name: str, script: str) -> None:
    path = f"{home['HOME']}/docker-credential-{name}"
    with open(path, "w") as file:
        file.write(f"#!/bin/sh\n{script}\n")
    os.chmod(path, 0o755)


def test_a_host_has_its_own_credentials(home: dict[str, str]) -> None:
    configure(home, {"auths": {"a.example.com": encoded("me:p:w"), "a.example.com:5000": encoded("other:x")}})
    assert found(home, "a.example.com") == "me:p:w"
    assert found(home, "a.example.com:5000") == "other:x"
    assert found(home, "example.com") is None


def test_the_hub_is_known_by_its_old_address(home: dict[str, str]) -> None:
    configure(home, {"auths": {"https://index.docker.io/v1/": encoded("me:pw")}})
    assert found(home, "docker.io") == "me:pw"
    configure(home, {"auths": {"https://index.docker.io/v1/access-token": encoded("me:not a password")}})
    assert found(home, "docker.io") is None
    configure(home, {"auths": {"docker.io": encoded("podman:pw")}})
    assert found(home, "docker.io", "library/debian") == "podman:pw"


def test_a_key_with_a_scheme_and_an_old_path_is_understood(home: dict[str, str]) -> None:
    for key in ("https://example.com", "https://example.com/v1/", "http://example.com/v2/", "example.com/v1/"):
        configure(home, {"auths": {key: encoded("me:pw")}})
        assert found(home, "example.com") == "me:pw", key


def test_the_longest_key_that_fits_a_repository_counts(home: dict[str, str]) -> None:
    auths = {
        "example.com": encoded("all:1"),
        "example.com/team": encoded("team:2"),
        "example.com/team/app": encoded("app:3"),
    }
    configure(home, {"auths": auths})
    assert found(home, "example.com", "team/app") == "app:3"
    assert found(home, "example.com", "team/other") == "team:2"
    assert found(home, "example.com", "teams/app") == "all:1"
    assert found(home, "example.com") == "all:1"


def test_tokens_are_read_beside_names_and_passwords(home: dict[str, str]) -> None:
    configure(home, {"auths": {"a": encoded("me:") | {"identitytoken": "id"}, "b": {"registrytoken": "rt"}}})
    first, second = lookup("a", home), lookup("b", home)
    assert first is not None
    assert second is not None
    assert (first.username, first.identity_token, first.is_basic) == ("me", "id", False)
    assert second.registry_token == "rt"


def test_the_environment_names_another_file(home: dict[str, str], tmp_path: Path) -> None:
    configure(home, {"auths": {"a": encoded("home:1")}})
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {"a": encoded("docker:2")}}))
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {"a": encoded("podman:3")}}))
    home["DOCKER_CONFIG"] = str(tmp_path / "docker")
    assert found(home, "a") == "docker:2"
    home["REGISTRY_AUTH_FILE"] = str(tmp_path / "auth.json")
    assert found(home, "a") == "podman:3"


def test_without_a_home_nobody_has_credentials() -> None:
    assert lookup("a", {}) is None
    with pytest.raises(InvalidArgument, match="HOME"):
        credentials.config_path({})


@pytest.mark.parametrize(
    "value",
    [
        "{",
        "[]",
        {"auths": []},
        {"auths": {"a": {"auth": "?"}}},
        {"auths": {"a": encoded("no colon")}},
        {"auths": {"a": {"auth": 5}}},
        {"credHelpers": []},
        {"credsStore": "../../bin/sh"},
        {"credsStore": 5},
        {"credHelpers": {"a": "no-such-helper"}},
    ],
)
def test_a_configuration_that_means_nothing_is_refused(home: dict[str, str], value: Any) -> None:
    configure(home, value)
    with pytest.raises(InvalidArgument) as caught:
        lookup("a", home)
    assert "no colon" not in str(caught.value)


def test_an_empty_file_and_empty_entries_hold_nothing(home: dict[str, str]) -> None:
    nothing: tuple[Any, ...] = ("", {}, {"auths": None}, {"auths": {"a": {}}}, {"auths": {"a": None}})
    for value in nothing:
        configure(home, value)
        assert lookup("a", home) is None


def test_a_helper_is_asked_by_dockers_name_of_the_registry(home: dict[str, str], tmp_path: Path) -> None:
    helper(home, "good", f'cat > {tmp_path}/asked; echo \'{{"ServerURL":"x","Username":"me","Secret":"pw"}}\'')
    configure(home, {"credsStore": "good", "auths": {"a": {}}})
    assert found(home, "a") == "me:pw"
    assert (tmp_path / "asked").read_text() == "a"
    assert found(home, "docker.io") == "me:pw"
    assert (tmp_path / "asked").read_text() == "https://index.docker.io/v1/"


def test_a_helper_for_one_registry_counts_before_the_one_for_all(home: dict[str, str]) -> None:
    helper(home, "one", 'echo \'{"Username":"one","Secret":"1"}\'')
    helper(home, "all", 'echo \'{"Username":"<token>","Secret":"identity"}\'')
    configure(home, {"credsStore": "all", "credHelpers": {"a": "one"}})
    assert found(home, "a") == "one:1"
    other = lookup("b", home)
    assert other is not None
    assert other.identity_token == "identity"


def test_a_helper_that_knows_nothing_is_no_error_and_one_that_fails_is(home: dict[str, str]) -> None:
    helper(home, "h", "echo credentials not found in native keychain; exit 1")
    configure(home, {"credsStore": "h", "auths": {"a": encoded("file:1")}})
    assert found(home, "a") == "file:1"
    assert found(home, "b") is None
    helper(home, "h", "echo locked; exit 1")
    with pytest.raises(InvalidArgument, match="locked"):
        lookup("a", home)
    helper(home, "h", "echo nonsense")
    with pytest.raises(InvalidArgument, match="does not answer as a credential helper does"):
        lookup("a", home)


def test_secrets_do_not_show_in_logs() -> None:
    assert "pw" not in repr(Credential("me", "pw", identity_token="pw", registry_token="pw"))


def test_saving_replaces_the_file_that_a_link_leads_to(tmp_path: Path) -> None:
    target = tmp_path / "real.json"
    target.write_text("{}")
    link = tmp_path / "config.json"
    link.symlink_to(target)
    credentials.save(str(link), {"a": "ü"})
    assert link.is_symlink()
    assert json.loads(target.read_text()) == {"a": "ü"}
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["config.json", "real.json"]
