"""Logging in to a registry and out of it: credentials are tried, and then kept where Docker keeps them."""

from __future__ import annotations

import base64
import fcntl
import json
import os

from orlop.errors import InvalidArgument, Unauthorized
from orlop.images.registry import credentials, tokens
from orlop.images.registry.client import Registry
from orlop.images.registry.credentials import Credential
from orlop.images.registry.hosts import RegistryOptions
from orlop.images.registry.persistence import follow, persist

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.images.registry.connections import Answer


class LoggedIn:
    """Where the credentials are now; ``is_plain`` if whoever reads the file ``place`` can read them."""

    __slots__ = ("is_plain", "place")

    def __init__(self, place: str, *, is_plain: bool) -> None:
        self.place = place
        self.is_plain = is_plain


def login(domain: str, username: str, password: str, options: RegistryOptions | None = None) -> LoggedIn:
    """Try credentials with a registry, and keep them if it accepts them.

    Where the registry gives an identity token for them, that is kept instead of the password.

    Raises:
        Unauthorized: the registry does not accept them.
        RegistryError: it cannot be reached.
        InvalidArgument: they cannot be credentials, or the configuration or a helper is at fault.
        OSError: the configuration cannot be written.
    """
    options = options if options is not None else RegistryOptions()
    if not username or ":" in username or not username.isprintable():
        raise InvalidArgument("a user name has one character at least, and neither colons nor control characters")
    if not password or "\0" in password:
        raise InvalidArgument("the password is empty, or has a NUL character in it")
    credential = verify(domain, Credential(username, password), options)
    return keep(domain, credential, options.environment)


def verify(domain: str, credential: Credential, options: RegistryOptions) -> Credential:
    """What to keep for credentials that a registry accepts: themselves, or the identity token that it gives for them.

    Raises:
        Unauthorized: the registry does not accept them.
        RegistryError: it cannot be reached.
    """
    registry = Registry(domain, options)
    endpoint = registry.endpoint
    what = f"logging in to {domain}"
    try:
        challenge = endpoint.ping()
        if challenge is None:
            return credential  # anybody may do anything
        if challenge.scheme == "basic":
            authorization = credential.basic()
        else:
            document = tokens.request(endpoint.connections, endpoint.origin, challenge, [], credential, offline=True)
            authorization = f"Bearer {tokens.token_of(document, endpoint.origin)}"
            identity = document.get("refresh_token")
            if isinstance(identity, str) and identity:
                credential = Credential(credential.username, identity_token=identity)
        url = endpoint.url("")

        def once() -> Answer:
            return follow(endpoint.connections, "GET", url, {}, None, authorization)

        answer = persist(endpoint.connections, once)
        if answer.status != 200:
            raise endpoint.refused(answer, what)
        answer.discard()
    except Unauthorized as error:
        if error.status != 401:
            raise
        raise Unauthorized(f"{what}: the user name or the password is wrong", status=401, code=error.code) from None
    finally:
        registry.close()
    return credential


def keep(domain: str, credential: Credential, environment: Mapping[str, str]) -> LoggedIn:
    """Keep credentials for a registry, without trying them.

    Raises:
        InvalidArgument: the configuration or a helper is at fault.
        OSError: the configuration cannot be written.
    """
    path = credentials.config_path(environment)
    key = credentials.key_of(domain)
    with _Locked(path):
        config = credentials.read_config(path)
        helper = credentials.helper_for(config, key)
        entry: dict[str, Any] = {}
        if helper:
            secret = credential.identity_token or credential.password
            name = "<token>" if credential.identity_token else credential.username
            given = json.dumps({"ServerURL": key, "Username": name, "Secret": secret})
            status, said = credentials.ask_helper(helper, "store", given, environment)
            if status != 0:
                raise InvalidArgument(
                    f"docker-credential-{helper} does not keep the credentials: {said[:200] or status}"
                )
        else:
            password = "" if credential.identity_token else credential.password
            entry["auth"] = base64.b64encode(f"{credential.username}:{password}".encode()).decode()
            if credential.identity_token:
                entry["identitytoken"] = credential.identity_token
        config["auths"] = (config.get("auths") or {}) | {key: entry}
        credentials.save(path, config)
    return LoggedIn(f"docker-credential-{helper}" if helper else path, is_plain=not helper)


def logout(domain: str, environment: Mapping[str, str] | None = None) -> bool:
    """Forget a registry's credentials; False if there were none.

    Raises:
        InvalidArgument: the configuration or a helper is at fault.
        OSError: the configuration cannot be written.
    """
    environment = os.environ if environment is None else environment
    path = credentials.config_path(environment)
    key = credentials.key_of(domain)
    if not os.path.exists(path):
        return False
    with _Locked(path):
        config = credentials.read_config(path)
        helper = credentials.helper_for(config, key)
        known = credentials.lookup(domain, environment) is not None
        if helper and known:
            status, said = credentials.ask_helper(helper, "erase", key, environment)
            if status != 0:
                raise InvalidArgument(
                    f"docker-credential-{helper} does not forget the credentials: {said[:200] or status}"
                )
        auths = config.get("auths") or {}
        left = {name: value for name, value in auths.items() if not _is_of(name, key)}
        if len(left) != len(auths):
            config["auths"] = left
            credentials.save(path, config)
            return True
        return known


def _is_of(name: str, key: str) -> bool:
    """Whether an entry is a registry's own, under whichever spelling of its name."""
    if name == key:
        return True
    plain = name.rpartition("://")[2].rstrip("/")
    return plain.removesuffix("/v1").removesuffix("/v2") == credentials.host_of(key)


class _Locked:
    """Holds a configuration's directory, so that of two that change the file the second sees what the first wrote."""

    __slots__ = ("_descriptor", "_directory")

    def __init__(self, path: str) -> None:
        self._directory = os.path.dirname(os.path.realpath(path))
        self._descriptor = -1

    def __enter__(self) -> None:
        os.makedirs(self._directory, 0o700, exist_ok=True)
        self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
