"""Clusters and plugins, which this engine has none of: clients are told so, and go on."""

from __future__ import annotations

from orlop.api.exchange import json
from orlop.api.failures import NotInSwarm
from orlop.errors import NotFound, OrlopError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.api.exchange import Reply, Request
    from orlop.api.routes import Endpoint

_METHODS = ("GET", "POST", "DELETE")
_NOUNS = ("swarm", "services", "nodes", "tasks", "secrets", "configs")
#: What is done with a plugin that is there.
_PLUGIN = (
    ("GET", "/plugins/{name...}/json"),
    ("DELETE", "/plugins/{name...}"),
    *(("POST", f"/plugins/{{name...}}/{verb}") for verb in ("enable", "disable", "set", "push", "upgrade")),
)


class NotPartOfSwarm(OrlopError):
    """A swarm cannot be left that this engine is not in."""

    http_status = 503


def routes() -> Iterator[tuple[str, str, Endpoint]]:
    """Where these endpoints are."""
    yield "POST", "/swarm/leave", _not_part
    for noun in _NOUNS:
        for method in _METHODS:
            yield method, f"/{noun}", _not_in_swarm
            yield method, f"/{noun}/{{rest...}}", _not_in_swarm
    yield "GET", "/plugins", _no_plugins
    for method, path in (("GET", "privileges"), ("POST", "pull"), ("POST", "create")):
        yield method, f"/plugins/{path}", _not_pluggable
    for method, path in _PLUGIN:
        yield method, path, _no_such_plugin


async def _not_part(_request: Request) -> Reply:
    raise NotPartOfSwarm("This node is not part of a swarm")


async def _not_in_swarm(_request: Request) -> Reply:
    raise NotInSwarm


async def _no_plugins(_request: Request) -> Reply:
    return json([])


async def _no_such_plugin(request: Request) -> Reply:
    raise NotFound(f'plugin "{request.arguments["name"]}" not found')


async def _not_pluggable(_request: Request) -> Reply:
    raise Unsupported("this engine has no plugins")
