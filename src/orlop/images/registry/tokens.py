"""Tokens: what a registry's token server gives for credentials, or to anybody (distribution-spec, "token", "oauth").

A token is for certain scopes, such as ``repository:library/debian:pull``, and for some minutes. It is kept until
shortly before its end.
"""

from __future__ import annotations

import threading
import time
from urllib.parse import urlencode, urlsplit

from orlop.errors import InvalidArgument, RegistryError
from orlop.images.registry.origin import origin_of
from orlop.images.registry.persistence import follow, persist
from orlop.images.registry.refusals import refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from orlop.images.registry.challenge import Challenge
    from orlop.images.registry.connections import Answer, Connections
    from orlop.images.registry.credentials import Credential
    from orlop.images.registry.origin import Origin

#: What a token lasts if its server does not say, in seconds; also the least that is believed.
_SHORTEST_LIFE = 60
#: How long before its end a token is not used any more: a request takes a while to arrive.
_MARGIN = 10
_CLIENT = "orlop"
_LONGEST_TOKEN = 64 << 10


class Tokens:
    """The tokens that one registry's requests were allowed with. Threads that need the same one fetch it once."""

    def __init__(self, connections: Connections, registry: Origin) -> None:
        self._connections = connections
        self._registry = registry
        self._lock = threading.Lock()
        #: Token and the time of its end, by realm, service, scopes and who asks.
        self._known: dict[tuple[str, ...], tuple[str, float]] = {}

    def get(self, challenge: Challenge, scopes: Iterable[str], credential: Credential | None, refused: str = "") -> str:
        """A token for all of some scopes; not ``refused``, which is one that the registry did not take.

        Raises:
            Unauthorized: the server does not accept the credentials, or gives nothing without any.
            RegistryError: it cannot be asked, or should not be.
        """
        wanted = sorted(set(scopes))
        realm, service = challenge.parameters.get("realm", ""), challenge.parameters.get("service", "")
        who = "" if credential is None else f"{credential.username}\0{credential.password}\0{credential.identity_token}"
        key = (realm, service, who, *wanted)
        with self._lock:
            token, end = self._known.get(key, ("", 0.0))
            if not token or token == refused or time.monotonic() > end:
                document = request(self._connections, self._registry, challenge, wanted, credential)
                token = token_of(document, self._registry)
                life = document.get("expires_in")
                seconds = life if isinstance(life, int) and life > _SHORTEST_LIFE else _SHORTEST_LIFE
                self._known[key] = token, time.monotonic() + seconds - _MARGIN
            return token


def token_of(document: dict[str, Any], registry: Origin) -> str:
    """The token in a token server's answer.

    Raises:
        RegistryError: there is none, or one that cannot be sent.
    """
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or len(token) > _LONGEST_TOKEN:
        raise RegistryError(f"the token server of {registry.authority} gave no token")
    return token


def request(
    connections: Connections,
    registry: Origin,
    challenge: Challenge,
    scopes: list[str],
    credential: Credential | None,
    *,
    offline: bool = False,
) -> dict[str, Any]:
    """Ask a token server; ``offline`` asks for an identity token as well, to be used instead of a password.

    Raises:
        Unauthorized: the server does not accept the credentials, or gives nothing without any.
        RegistryError: it cannot be asked, or should not be.
    """
    realm = challenge.parameters.get("realm", "")
    origin = origin_of(realm, f"the token realm of {registry.authority}")
    _check_realm(registry, origin, credential)
    service = challenge.parameters.get("service", "")
    headers: dict[str, str] = {"Accept": "application/json"}
    authorization = ""
    body: bytes | None = None
    if credential is not None and credential.identity_token:
        form = {
            "grant_type": "refresh_token",
            "service": service,
            "client_id": _CLIENT,
            "scope": " ".join(scopes),
            "refresh_token": credential.identity_token,
        }
        body = urlencode({name: value for name, value in form.items() if value}).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        method, url = "POST", realm
    else:
        query = [("service", service)] if service else []
        if credential is not None and credential.is_basic:
            authorization = credential.basic()
            query.append(("account", credential.username))
        query += [("scope", scope) for scope in scopes]
        if offline:
            query += [("offline_token", "true"), ("client_id", _CLIENT)]
        method, url = "GET", realm + ("&" if urlsplit(realm).query else "?" if query else "") + urlencode(query)

    def once() -> Answer:
        return follow(connections, method, url, headers, body, authorization)

    answer = persist(connections, once)
    what = f"asking for a token of {registry.authority}"
    if answer.status != 200:
        raise refusal(answer.status, answer.headers, answer.body(64 << 10, what), origin.authority, what)
    return answer.document(what)


def _check_realm(registry: Origin, realm: Origin, credential: Credential | None) -> None:
    """Keep secrets from going where the user's trust in the registry does not reach."""
    if registry.scheme == "https" and realm.scheme != "https":
        raise RegistryError(f"{registry.authority} has tokens asked for at {realm}, which is without TLS")
    if credential is not None and realm.scheme != "https" and realm.host != registry.host:
        raise InvalidArgument(
            f"{registry.authority} has credentials sent to {realm}, which is another host without TLS: "
            "log out to try without credentials"
        )
