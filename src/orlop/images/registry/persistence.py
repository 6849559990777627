"""Trying again what may work the next time, for as long as that makes sense, and following redirects."""

from __future__ import annotations

import random
import time
from urllib.parse import urljoin

from orlop.errors import RegistryError
from orlop.images.registry.origin import origin_of
from orlop.images.registry.refusals import NoConnection, NotTls, Unreachable, plain, rate_limit_is_used_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from orlop.images.registry.connections import Answer, Connections
    from orlop.images.registry.origin import Origin

    #: What is sent: nothing, bytes, or what makes the pieces anew for each attempt.
    Body = bytes | Callable[[], Iterable[bytes]] | None

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10
_SHORTEST_WAIT = 0.25
_LONGEST_WAIT = 8.0
_SAFE = ("GET", "HEAD")


def persist(connections: Connections, once: Callable[[], Answer], *, insist: bool = True) -> Answer:
    """Send a request until an answer comes that another attempt would not better, at most as often as is allowed.

    ``insist`` is whether to try again where nobody is there at all, as makes sense if somebody was before.

    Raises:
        RegistryError: no answer came.
    """
    attempts = max(connections.options.attempts, 1)
    for attempt in range(attempts):
        is_last = attempt == attempts - 1
        wanted = -1.0
        try:
            answer = once()
        except NotTls:
            raise
        except NoConnection:
            if is_last or not insist:
                raise
        except Unreachable:
            if is_last:
                raise
        else:
            if is_last or answer.status not in _AGAIN or rate_limit_is_used_up(answer.headers):
                return answer
            wanted = retry_after(answer.headers)
            if wanted > connections.options.longest_wait:
                return answer
            answer.discard()
        connections.pause(delay(attempt) if wanted < 0 else wanted)
    raise AssertionError("the last attempt returns or raises")


def delay(attempt: int) -> float:
    """How many seconds to wait after an attempt, counted from 0: longer each time, and not all clients the same."""
    most = min(_SHORTEST_WAIT * 2**attempt, _LONGEST_WAIT)
    return float(most * random.uniform(0.5, 1))  # noqa: S311 - nothing is kept secret by it


def retry_after(headers: Mapping[str, str]) -> float:
    """How many seconds a server wants to be left alone (RFC 9110, section 10.2.3), or -1 if it does not say."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return -1
    if text.isdecimal() and len(text) < 10:
        return int(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0)
    except (ValueError, OverflowError):
        return -1


def follow(
    connections: Connections, method: str, url: str, headers: Mapping[str, str], body: Body, authorization: str
) -> Answer:
    """Send a request, and go where redirects lead. The authorisation is for the first server and for no other.

    It is not sent again after a redirect has led elsewhere, even if the next one leads back (CVE-2020-15157).

    Raises:
        RegistryError: a redirect leads to nowhere, in circles, or out of TLS.
    """
    first = origin = origin_of(url, "the request")
    for _ in range(_MOST_REDIRECTS + 1):
        if origin != first:
            authorization = ""
        sent = {**headers, "Authorization": authorization} if authorization else headers
        answer = connections.send(method, url, sent, body() if callable(body) else body)
        location = answer.headers.get("location", "")
        if answer.status not in _REDIRECTS or not location:
            return answer
        if method not in _SAFE and answer.status not in (307, 308):
            return answer  # others turn a request into a GET
        answer.discard()
        url, origin = redirect_target(answer, location)
    raise RegistryError(f"{first.authority} redirects more than {_MOST_REDIRECTS} times")


def redirect_target(answer: Answer, location: str) -> tuple[str, Origin]:
    """The URL that a ``Location`` header means, and whom it leads to.

    Raises:
        RegistryError: it is no URL of the web, or one without TLS where the answer came by TLS.
    """
    what = f"the redirect of {answer.origin.authority}"
    try:
        url = urljoin(answer.url, location).partition("#")[0]
    except ValueError:
        raise RegistryError(f'{what} leads to "{plain(location)}", which is no address on the web') from None
    origin = origin_of(url, what)
    if answer.origin.scheme == "https" and origin.scheme != "https":
        raise RegistryError(f"{what} leads to {origin}, which is without TLS")
    return url, origin
