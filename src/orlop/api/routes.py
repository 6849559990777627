"""Which endpoint answers a request: by method, path, and the version of the API that the client speaks."""

from __future__ import annotations

import re
from urllib.parse import unquote

from orlop.api.failures import PageNotFound
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from orlop.api.exchange import Answer, Request

    Endpoint = Callable[[Request], Awaitable[Answer]]

#: The newest version of the API that is served, that of the description, and the oldest.
NEWEST = (1, 51)
OLDEST = (1, 24)

_VERSION = re.compile(r"/v(\d{1,3})\.(\d{1,3})(?=/)")
_PLACE = re.compile(r"\{(\w+)(\.\.\.)?\}")


class Route:
    """A pattern of paths, such as ``/containers/{id}/json``; ``{name...}`` may have slashes in it."""

    __slots__ = ("endpoint", "method", "pattern", "text")

    def __init__(self, method: str, pattern: str, endpoint: Endpoint) -> None:
        self.method = method
        self.endpoint = endpoint
        self.text = pattern
        text = _PLACE.sub(lambda place: f"(?P<{place[1]}>{'.+' if place[2] else '[^/]+'})", pattern)
        self.pattern = re.compile(text)


class Routes:
    """All endpoints of a server; the first whose pattern fits answers."""

    __slots__ = ("_routes",)

    def __init__(self, routes: Iterable[tuple[str, str, Endpoint]]) -> None:
        self._routes = [Route(*each) for each in routes]

    def find(self, request: Request) -> Endpoint:
        """What answers a request, which learns its path without the version, and what that says.

        Raises:
            PageNotFound: there is no such endpoint.
            InvalidArgument: the client's version of the API is not served.
        """
        path = request.path
        request.version = NEWEST
        found = _VERSION.match(path)
        if found:
            request.version = (int(found[1]), int(found[2]))
            request.names_version = True
            _check(request.version)
            path = path[found.end() :]
        path = unquote(path)
        method = "GET" if request.method == "HEAD" else request.method
        for wanted in {request.method: None, method: None}:  # HEAD is GET where it is nothing else
            for route in self._routes:
                if route.method == wanted and (fitting := route.pattern.fullmatch(path)):
                    request.path = path
                    request.arguments = fitting.groupdict()
                    request.endpoint = route.text
                    return route.endpoint
        raise PageNotFound


def text(version: tuple[int, int]) -> str:
    """A version as the API writes it."""
    return f"{version[0]}.{version[1]}"


def _check(version: tuple[int, int]) -> None:
    if version > NEWEST:
        raise InvalidArgument(
            f"client version {text(version)} is too new. Maximum supported API version is {text(NEWEST)}"
        )
    if version < OLDEST:
        raise InvalidArgument(
            f"client version {text(version)} is too old. Minimum supported API version is {text(OLDEST)}, "
            "please upgrade your client to a newer version"
        )
