"""Whether a client may do what it asks for: plugins say so, twice for each request, as Docker's authorization plugins do.

Before anything is done they see the request, and before the client has the answer that, too: what is one piece as it is,
of what goes on its head only. One that says no, or nothing that is yes, ends it.

What a plugin sees is what is done. Path and query are shown as they were understood, so that no way of writing them can hide
anything, and a body that is read for what it says is shown, or refused if it is too large for that, or if other readers of JSON
could understand it differently.
"""

from __future__ import annotations

import base64
import ssl
from urllib.parse import quote, urlencode

from orlop import json_text
from orlop.api import exchange
from orlop.api.exchange import Stream, Takeover
from orlop.api.failures import reply
from orlop.api.plugin import Plugin, PluginFailed
from orlop.errors import InvalidArgument, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from typing import Any

    from orlop.api.exchange import Answer, Request
    from orlop.api.routes import Endpoint

_INTERFACE = "authz"
#: Bytes of a body that is shown, at most.
_LARGEST = 1 << 20
#: Headers with secrets of clients, which nobody is shown, and the endpoint whose bodies are secrets.
_SECRET = ("authorization", "x-registry-auth", "x-registry-config")
_WITH_SECRETS = "/auth"
_PATH = "/:@!$&'()*+,;=~-._"
_QUERY = "/:@!$'()*,~-._"


class Denied(OrlopError):
    """A plugin does not permit it."""

    http_status = 403


class Authorization:
    """The plugins that have to permit what clients ask for, in their order."""

    __slots__ = ("_plugins",)

    def __init__(self, names: Sequence[str]) -> None:
        self._plugins = [Plugin(name, _INTERFACE) for name in names]

    def forget(self) -> None:
        """Look for the plugins again."""
        for each in self._plugins:
            each.forget()

    async def guard(self, request: Request, endpoint: Endpoint) -> Answer:
        """What an endpoint answers, if all plugins permit the request and the answer.

        Raises:
            Denied: one does not.
            PluginFailed: one does not say.
        """
        question = _question(request)
        if request.is_json and request.endpoint != _WITH_SECRETS:
            question["RequestBody"] = await _shown(request)
        for each in self._plugins:
            await _permit(each, "AuthZReq", question)
        try:
            answer = await endpoint(request)
        except Exception as error:  # noqa: BLE001 - a failure is an answer, which is to be permitted, too
            answer = reply(error)
        question |= {
            "ResponseStatusCode": exchange.status_of(request, answer),
            "ResponseHeaders": {"Content-Type": answer.content_type} if answer.content_type else {},
        }
        if isinstance(answer, exchange.Reply) and answer.content_type == exchange.JSON and len(answer.body) <= _LARGEST:
            question["ResponseBody"] = base64.b64encode(answer.body).decode()
        try:
            for each in self._plugins:
                await _permit(each, "AuthZRes", question)
        except BaseException:
            await _forsake(answer)
            raise
        return answer


async def _permit(plugin: Plugin, phase: str, question: Mapping[str, Any]) -> None:
    said = await plugin.ask(f"AuthZPlugin.{phase}", question)
    if said.get("Err"):
        raise PluginFailed(f"plugin {plugin.name} failed with error: AuthZPlugin.{phase}: {said['Err']}")
    if said.get("Allow") is not True:
        raise Denied(f"authorization denied by plugin {plugin.name}: {said.get('Msg') or ''}")


def _question(request: Request) -> dict[str, Any]:
    version = "" if not request.names_version else f"/v{request.version[0]}.{request.version[1]}"
    query = urlencode(request.query, doseq=True, safe=_QUERY)
    headers = {_canonical(name): value for name, value in request.headers.items() if name not in _SECRET}
    if request.is_json:
        headers["Content-Type"] = exchange.JSON
    question: dict[str, Any] = {
        "RequestMethod": request.method,
        "RequestUri": f"{version}{quote(request.path, safe=_PATH)}{'?' if query else ''}{query}",
        "RequestHeaders": headers,
    }
    peer = request.peer
    if peer.certificate:
        shown = ssl.DER_cert_to_PEM_cert(peer.certificate).encode()
        question |= {
            "User": peer.name,
            "UserAuthNMethod": "TLS",
            "RequestPeerCertificates": [base64.b64encode(shown).decode()],
        }
    return question


async def _shown(request: Request) -> str:
    """The whole of a body that is JSON, which can still be read."""
    data = await request.whole_body()
    if len(data) > _LARGEST:
        raise exchange.TooLarge("the request's body is larger than what authorization plugins are shown, 1 MiB")
    _check_names(data)

    async def again() -> AsyncIterator[bytes]:
        yield data

    request.body = again()
    return base64.b64encode(data).decode()


def _check_names(data: bytes) -> None:
    """Refuse JSON in which an object has a name twice, be it in other letters: which one counts, each reader decides.

    Raises:
        InvalidArgument: there is one.
    """
    try:
        value = json_text.loads(data)
    except (ValueError, RecursionError):
        return  # whoever reads it as JSON refuses it
    try:
        json_text.loads(data, unique_keys=True)
    except ValueError as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            seen: dict[str, str] = {}
            for name in each:
                other = seen.setdefault(name.casefold(), name)
                if other != name:
                    raise InvalidArgument(f"invalid JSON: {other[:80]} and {name[:80]} are one name to some readers")
            left += each.values()
        elif isinstance(each, list):
            left += each


async def _forsake(answer: Answer) -> None:
    """Let go of what an answer holds that nobody gets."""
    if isinstance(answer, Takeover):
        answer.release()
    elif isinstance(answer, Stream):
        await answer.discard()


def _canonical(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))
