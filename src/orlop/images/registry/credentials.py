"""Credentials for registries, from where Docker keeps them: its ``config.json`` and credential helpers.

The file is ``$REGISTRY_AUTH_FILE``, else ``$DOCKER_CONFIG/config.json``, else ``~/.docker/config.json``. A host's
credentials come from the helper that ``credHelpers`` names for it, else from the one of ``credsStore``, else from
``auths``. Keys of ``auths`` may have a scheme and a path, as old ones do, or be a host and the beginning of a
repository's path, as Podman writes them: the longest that fits counts.
"""

from __future__ import annotations

import json
import os

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: What Docker calls its hub in configurations.
HUB_KEY = "https://index.docker.io/v1/"
#: The user name with which a helper says that the secret is an identity token.
_TOKEN_USER = "<token>"  # noqa: S105 - it is not a secret
_HELPER_SECONDS = 60
_LARGEST = 4 << 20


class Credential:
    """What a registry knows a user by: name and password, an identity token, or a token to be shown as it is."""

    __slots__ = ("identity_token", "password", "registry_token", "username")

    def __init__(
        self, username: str = "", password: str = "", *, identity_token: str = "", registry_token: str = ""
    ) -> None:
        self.username = username
        self.password = password
        self.identity_token = identity_token
        self.registry_token = registry_token

    def __repr__(self) -> str:
        return f"Credential({self.username!r}, …)"  # secrets do not belong into logs

    @property
    def is_basic(self) -> bool:
        """Whether there are a name and a password."""
        return bool(self.username and self.password)

    def basic(self) -> str:
        """The value of an ``Authorization`` header of the Basic scheme (RFC 7617)."""
        import base64

        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def config_path(environment: Mapping[str, str]) -> str:
    """The file that holds credentials.

    Raises:
        InvalidArgument: neither the file nor a home directory is named by the environment.
    """
    path = environment.get("REGISTRY_AUTH_FILE", "")
    if path:
        return path
    directory = environment.get("DOCKER_CONFIG", "")
    if not directory:
        home = environment.get("HOME", "")
        if not home:
            raise InvalidArgument("neither HOME nor DOCKER_CONFIG is set, one of which leads to the credentials")
        directory = f"{home}/.docker"
    return f"{directory}/config.json"


def read_config(path: str) -> dict[str, Any]:
    """The configuration; empty if there is no file.

    Raises:
        InvalidArgument: it cannot be read, or is not what it should be.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST)
        document = json.loads(data) if data.strip() else {}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InvalidArgument(f"the credentials in {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise InvalidArgument(f"the credentials in {path} cannot be read: it is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidArgument(f"the credentials in {path} cannot be read: it is not a JSON object")
    for key in ("auths", "credHelpers"):
        if document.get(key) is not None and not isinstance(document[key], dict):
            raise InvalidArgument(f"{key} in {path} is not a JSON object")
    return document


def key_of(domain: str) -> str:
    """What a registry is called in configurations and to helpers."""
    return HUB_KEY if domain in ("docker.io", "index.docker.io", "registry-1.docker.io") else domain


def helper_for(config: dict[str, Any], key: str) -> str:
    """The name of the helper that has a registry's credentials, or an empty text.

    Raises:
        InvalidArgument: it could not be the name of a program.
    """
    helpers = config.get("credHelpers") or {}
    name = helpers.get(key) or helpers.get(host_of(key)) or config.get("credsStore") or ""
    if not isinstance(name, str) or "/" in name or "\0" in name:
        raise InvalidArgument(f"{name!r} is not the name of a credential helper")
    return name


def lookup(domain: str, environment: Mapping[str, str], repository: str = "") -> Credential | None:
    """The credentials for a registry, named as in references, and one of its repositories; None if there are none.

    Raises:
        InvalidArgument: the file cannot be read, or a helper is missing or fails.
    """
    if not any(environment.get(name) for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "HOME")):
        return None
    path = config_path(environment)
    config = read_config(path)
    key = key_of(domain)
    helper = helper_for(config, key)
    found = _from_helper(helper, key, environment) if helper else None
    return found or _from_file(config.get("auths") or {}, key, repository, path)


def ask_helper(name: str, action: str, given: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run ``docker-credential-<name> <action>`` with a text on its input; its exit status and what it said.

    Raises:
        InvalidArgument: the program is not there, or does not end.
    """
    import shutil
    import subprocess

    program = shutil.which(f"docker-credential-{name}", path=environment.get("PATH"))
    if program is None:
        raise InvalidArgument(
            f'the credential helper "docker-credential-{name}" is not in PATH: install it, or remove it from the '
            f"configuration {config_path(environment)}"
        )
    try:
        done = subprocess.run(  # noqa: S603 - the user's own configuration names it
            [program, action],
            input=given.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_HELPER_SECONDS,
            check=False,
            env=dict(environment),
        )
    except subprocess.TimeoutExpired:
        raise InvalidArgument(f"{program} {action} has not ended after {_HELPER_SECONDS} seconds") from None
    except OSError as error:
        raise InvalidArgument(f"{program} cannot be run: {error.strerror}") from None
    return done.returncode, done.stdout.decode(errors="replace").strip()


def _from_helper(name: str, key: str, environment: Mapping[str, str]) -> Credential | None:
    status, said = ask_helper(name, "get", key, environment)
    if status != 0:
        if "credentials not found" in said:
            return None
        raise InvalidArgument(f"docker-credential-{name} has no credentials for {key}: {said[:200] or status}")
    try:
        document = json.loads(said)
        username, secret = document["Username"], document["Secret"]
        if not isinstance(username, str) or not isinstance(secret, str):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise InvalidArgument(f"docker-credential-{name} does not answer as a credential helper does") from None
    if username == _TOKEN_USER:
        return Credential(identity_token=secret)
    return Credential(username, secret) if username or secret else None


def host_of(key: str) -> str:
    """The host in a key of a configuration."""
    return key.rpartition("://")[2].partition("/")[0]


def _from_file(auths: dict[str, Any], key: str, repository: str, path: str) -> Credential | None:
    host = host_of(key)
    hosts = ("index.docker.io", "docker.io", "registry-1.docker.io") if key == HUB_KEY else (host,)
    if isinstance(auths.get(key), dict) and "://" in key:
        found = _entry(auths[key], key, path)
        if found is not None:
            return found
    parts = repository.split("/") if repository else []
    for length in range(len(parts), -1, -1):
        for name in hosts:
            wanted = "/".join((name, *parts[:length]))
            for written, value in auths.items():
                plain = written.rpartition("://")[2].rstrip("/")
                if length == 0:
                    plain = plain.removesuffix("/v1").removesuffix("/v2")
                if plain == wanted and isinstance(value, dict):
                    found = _entry(value, written, path)
                    if found is not None:
                        return found
    return None


def _entry(value: dict[str, Any], key: str, path: str) -> Credential | None:
    import base64

    username, password, encoded = value.get("username") or "", value.get("password") or "", value.get("auth") or ""
    identity, token = value.get("identitytoken") or "", value.get("registrytoken") or ""
    if not all(isinstance(item, str) for item in (username, password, encoded, identity, token)):
        raise InvalidArgument(f'the credentials for "{key}" in {path} are not strings')
    if encoded:
        try:
            decoded = base64.b64decode(encoded, validate=True).decode()
        except ValueError:
            decoded = ""
        username, colon, password = decoded.partition(":")
        password = password.rstrip("\0")  # Docker's older versions padded
        if not colon:
            raise InvalidArgument(f'auth for "{key}" in {path} is not a name and a password in base64')
    if not (username or password or identity or token):
        return None
    return Credential(username, password, identity_token=identity, registry_token=token)


def save(path: str, change: dict[str, Any]) -> None:
    """Replace a configuration as a whole; it can be read by its owner only.

    A symbolic link stays one, and the file that it leads to is replaced.

    Raises:
        OSError: it cannot be written.
    """
    path = os.path.realpath(path)
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(change, indent="\t", ensure_ascii=False) + "\n")
            file.flush()
            os.fdatasync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
