"""A client's credentials for registries, which come with each request: ``X-Registry-Auth``, and ``X-Registry-Config`` of builds."""

from __future__ import annotations

import base64
import binascii
import os

from orlop import json_text
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from orlop.api.exchange import Request
    from orlop.images.registry.credentials import Credential
    from orlop.images.registry.hosts import RegistryOptions

_FOR_ONE = "X-Registry-Auth"
_FOR_ALL = "X-Registry-Config"
_NAMES = ("username", "password", "identitytoken", "registrytoken", "auth")
_LARGEST_NAME = 255


def options(request: Request) -> Callable[[], RegistryOptions]:
    """How a registry is to be talked to for a client: with its credentials, or with none, and never with our own.

    What is returned makes it, in the process that needs it.

    Raises:
        InvalidArgument: the header is none.
    """
    said = _fields(_decoded(request, _FOR_ONE), _FOR_ONE)

    def make() -> RegistryOptions:
        from orlop.images.registry.hosts import RegistryOptions

        credential = _credential(said)
        return RegistryOptions(credentials=lambda _host: credential)

    return make


def options_of_build(request: Request) -> Callable[[], RegistryOptions]:
    """How all registries of a build are to be talked to: with the credentials that the client has sent for each.

    Raises:
        InvalidArgument: the header is none.
    """
    said = {}
    for key, each in _decoded(request, _FOR_ALL).items():
        if not isinstance(each, dict):
            raise InvalidArgument(f"invalid {_FOR_ALL} header: what it says of {key[:_LARGEST_NAME]} must be an object")
        said[key] = _fields(each, _FOR_ALL)

    def make() -> RegistryOptions:
        from orlop.images.registry.credentials import host_of, key_of
        from orlop.images.registry.hosts import RegistryOptions

        known = {key_of(host_of(key)): fields for key, fields in said.items()}

        def look_up(host: str) -> Credential | None:
            fields = known.get(key_of(host))
            return _credential(fields) if fields is not None else None

        return RegistryOptions(credentials=look_up)

    return make


def forget_own() -> None:
    """Have this process, a child that does something for a client, and all that it starts, know no secrets of the server's user.

    These are what git and ssh find: credential helpers, ``.netrc``, keys and agents.
    """
    home = os.environ.get("HOME", "")
    os.environ.setdefault("XDG_CONFIG_HOME", f"{home}/.config" if home else "/nonexistent")  # mirrors are no secrets
    for name in [each for each in os.environ if each.startswith(("GIT_", "SSH_")) or each == "REGISTRY_AUTH_FILE"]:
        del os.environ[name]
    os.environ.update(
        HOME="/nonexistent",
        DOCKER_CONFIG="/nonexistent",
        GIT_CONFIG_GLOBAL="/dev/null",
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0="credential.helper",
        GIT_CONFIG_VALUE_0="",
        GIT_SSH_COMMAND="ssh -F none -o BatchMode=yes -o IdentityAgent=none -o IdentitiesOnly=yes -o IdentityFile=none",
    )


def _credential(said: Mapping[str, str]) -> Credential | None:
    from orlop.images.registry.credentials import Credential

    if not any(said.values()):
        return None
    return Credential(
        said["username"],
        said["password"],
        identity_token=said["identitytoken"],
        registry_token=said["registrytoken"],
    )


def _decoded(request: Request, header: str) -> dict[str, Any]:
    text = request.headers.get(header.lower(), "")
    if not text:
        return {}
    try:
        data = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))
        value = json_text.loads(data) if data.strip() else {}
    except (ValueError, binascii.Error):
        value = ()
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgument(f"invalid {header} header: it must be a JSON object in URL-safe base64")
    return value


def _fields(value: Mapping[str, Any], header: str) -> dict[str, str]:
    found = {name: str(value.get(name) or "") for name in _NAMES}
    if found["auth"] and not found["username"]:
        try:
            found["username"], _, found["password"] = base64.b64decode(found["auth"]).decode().partition(":")
        except ValueError:
            raise InvalidArgument(f"invalid {header} header: its field auth is no base64") from None
    return found
