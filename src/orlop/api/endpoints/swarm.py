"""Clusters, which this engine is not part of: clients are told so, and go on."""

from __future__ import annotations

from orlop.api.exchange import json
from orlop.api.failures import NotInSwarm
from orlop.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.api.exchange import Reply, Request
    from orlop.api.routes import Endpoint

_METHODS = ("GET", "POST", "DELETE")
_NOUNS = ("swarm", "services", "nodes", "tasks", "secrets", "configs")


def routes() -> Iterator[tuple[str, str, Endpoint]]:
    """Where these endpoints are."""
    for noun in _NOUNS:
        for method in _METHODS:
            yield method, f"/{noun}", _not_in_swarm
            yield method, f"/{noun}/{{rest...}}", _not_in_swarm
    yield "GET", "/plugins", _no_plugins
    for method in (*_METHODS, "PUT"):
        yield method, "/plugins/{rest...}", _not_pluggable


async def _not_in_swarm(_request: Request) -> Reply:
    raise NotInSwarm


async def _no_plugins(_request: Request) -> Reply:
    return json([])


async def _not_pluggable(_request: Request) -> Reply:
    raise Unsupported("this engine has no plugins")
