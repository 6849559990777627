"""Lists in pages, each of which says where the next one is (distribution-spec, "Content Discovery")."""

from __future__ import annotations

from urllib.parse import urljoin

from orlop.errors import RegistryError
from orlop.images.registry.origin import origin_of
from orlop.images.registry.refusals import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from orlop.images.registry.connections import Answer
    from orlop.images.registry.endpoint import Endpoint

_MOST_PAGES = 10_000
_MOST_ENTRIES = 1_000_000


def pages(
    endpoint: Endpoint, url: str, what: str, *, repository: str = "", scopes: Iterable[str] = (), accept: str = ""
) -> Iterator[tuple[Answer, dict[str, Any]]]:
    """Every page of a list: the answer and its document.

    Raises:
        NotFound, Unauthorized, RegistryError: it is not given, leads to another server, or goes in circles.
    """
    seen = {url}
    headers = {"Accept": accept or "application/json"}
    while len(seen) <= _MOST_PAGES:
        answer = endpoint.request("GET", url, what, repository=repository, scopes=scopes, headers=headers)
        yield answer, answer.document(what)
        target = _next(answer.all("link"))
        if not target:
            return
        try:
            url = urljoin(url, target)
        except ValueError:
            url = target
        if origin_of(url, f"the next page of {what}") != endpoint.origin:
            raise RegistryError(f'{what}: the next page is said to be elsewhere, at "{plain(url)}"')
        if url in seen:
            raise RegistryError(f"{what}: {endpoint.server.authority} gives the same page again and again")
        seen.add(url)
    raise RegistryError(f"{what}: {endpoint.server.authority} gives more than {_MOST_PAGES} pages")


def _next(headers: list[str]) -> str:
    """The target of the link with the relation "next" (RFC 8288)."""
    for header in headers:
        rest = header
        while "<" in rest:
            target, _, rest = rest.partition("<")[2].partition(">")
            parameters = rest.partition("<")[0]
            for parameter in parameters.replace(",", ";").split(";"):
                name, _, value = parameter.partition("=")
                if name.strip().lower() == "rel" and "next" in value.strip().strip('"').lower().split():
                    return target
    return ""


def names(
    endpoint: Endpoint, url: str, key: str, what: str, *, repository: str = "", scopes: Iterable[str] = ()
) -> list[str]:
    """All names of a list that is under ``key`` in each page.

    Raises:
        NotFound, Unauthorized, RegistryError: as for `pages`, or what is there is no list of names.
    """
    found: list[str] = []
    for _, document in pages(endpoint, url, what, repository=repository, scopes=scopes):
        values = document.get(key) or []
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise RegistryError(f"{what}: {endpoint.server.authority} did not answer with a list of names")
        found += values
        if len(found) > _MOST_ENTRIES:
            raise RegistryError(f"{what}: {endpoint.server.authority} gives more than {_MOST_ENTRIES} names")
    return found
