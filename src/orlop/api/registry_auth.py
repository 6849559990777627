"""A client's credentials for a registry, which come with each request: ``X-Registry-Auth``."""

from __future__ import annotations

import base64
import binascii

from orlop import json_text
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.api.exchange import Request
    from orlop.images.registry.credentials import Credential
    from orlop.images.registry.hosts import RegistryOptions

_HEADER = "x-registry-auth"


def options(request: Request) -> Callable[[], RegistryOptions]:
    """How a registry is to be talked to for a client: with its credentials, or with none, and never with our own.

    What is returned makes it, in the process that needs it.

    Raises:
        InvalidArgument: the header is none.
    """
    said = _read(request.headers.get(_HEADER, ""))

    def make() -> RegistryOptions:
        from orlop.images.registry.credentials import Credential
        from orlop.images.registry.hosts import RegistryOptions

        credential: Credential | None = None
        if any(said.values()):
            credential = Credential(
                said["username"],
                said["password"],
                identity_token=said["identitytoken"],
                registry_token=said["registrytoken"],
            )
        return RegistryOptions(credentials=lambda _host: credential)

    return make


def _read(text: str) -> dict[str, str]:
    names = ("username", "password", "identitytoken", "registrytoken", "auth")
    if not text:
        return dict.fromkeys(names, "")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        value = json_text.loads(data) if data.strip() else {}
    except (ValueError, binascii.Error):
        value = None
    if not isinstance(value, dict):
        raise InvalidArgument("invalid X-Registry-Auth header: it must be a JSON object in URL-safe base64")
    found = {name: str(value.get(name) or "") for name in names}
    if found["auth"] and not found["username"]:
        try:
            found["username"], _, found["password"] = base64.b64decode(found["auth"]).decode().partition(":")
        except ValueError:
            raise InvalidArgument("invalid X-Registry-Auth header: its field auth is no base64") from None
    return found
