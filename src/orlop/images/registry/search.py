"""Searching a registry: the Docker hub and those like it have a search, others at most a catalog of all they have."""

from __future__ import annotations

from urllib.parse import urlencode

from orlop.errors import NotFound, RegistryError, Unauthorized, Unsupported
from orlop.images.registry.endpoint import Endpoint
from orlop.images.registry.hosts import Server
from orlop.images.registry.refusals import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.images.registry.client import Registry

#: The server that has the search of docker.io.
_HUB_SEARCH = "index.docker.io"
#: Statuses of a server that has no such thing, or does not show it to everybody.
_HAS_NONE = (400, 401, 403, 405, 410, 501)
MOST = 100


class Found:
    """A repository that a search found. ``stars`` is -1 where nobody counts them."""

    __slots__ = ("description", "is_automated", "is_official", "name", "stars")

    def __init__(
        self,
        name: str,
        description: str = "",
        stars: int = -1,
        *,
        is_official: bool = False,
        is_automated: bool = False,
    ) -> None:
        self.name = name
        self.description = description
        self.stars = stars
        self.is_official = is_official
        self.is_automated = is_automated


def search(registry: Registry, query: str, limit: int = 25) -> list[Found]:
    """What a registry has for some words, at most ``limit`` repositories (and never more than 100).

    Raises:
        Unsupported: the registry has neither a search nor a catalog that it shows.
        RegistryError: it cannot be reached, or fails.
    """
    limit = max(1, min(limit, MOST))
    endpoint = registry.endpoint
    if registry.domain == "docker.io":
        endpoint = Endpoint(Server(_HUB_SEARCH, ("https",)), registry.domain, registry.options)
    what = f"searching {registry.domain}"
    url = f"{endpoint.origin}/v1/search?{urlencode({'q': query, 'n': limit})}"
    try:
        answer = endpoint.request("GET", url, what, headers={"Accept": "application/json"})
        return _results(answer.document(what), limit, what)
    except (NotFound, RegistryError) as error:
        if isinstance(error, RegistryError) and error.status not in _HAS_NONE:
            raise
    finally:
        if endpoint is not registry.endpoint:
            endpoint.close()
    return _by_catalog(registry, query, limit)


def _by_catalog(registry: Registry, query: str, limit: int) -> list[Found]:
    try:
        names = registry.repositories()
    except (NotFound, Unauthorized, RegistryError) as error:
        if isinstance(error, RegistryError) and error.status not in _HAS_NONE:
            raise
        raise Unsupported(
            f"{registry.domain} cannot be searched: it has no search, and no catalog that it shows; "
            "look at its web page, or name the repository"
        ) from error
    words = query.lower().split()
    matching = [name for name in names if all(word in name.lower() for word in words)]
    return [Found(plain(name)) for name in matching[:limit]]


def _results(document: dict[str, Any], limit: int, what: str) -> list[Found]:
    results = document.get("results")
    if not isinstance(results, list):
        raise RegistryError(f"{what}: the answer is not that of a search")
    found: list[Found] = []
    for result in results[:limit]:
        if isinstance(result, dict) and isinstance(result.get("name"), str):
            stars = result.get("star_count")
            found.append(
                Found(
                    plain(result["name"]),
                    plain(result.get("description") or ""),
                    stars if isinstance(stars, int) else 0,
                    is_official=result.get("is_official") is True,
                    is_automated=result.get("is_automated") is True,
                )
            )
    return found
