"""What a registry says of an image, and what there is no serving of: the sessions of other builders."""

from __future__ import annotations

from orlop.api import children
from orlop.api.exchange import json
from orlop.api.registry_auth import options
from orlop.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from orlop.api.exchange import Reply, Request
    from orlop.api.routes import Endpoint


def routes() -> Iterator[tuple[str, str, Endpoint]]:
    """Where these endpoints are."""
    yield "GET", "/distribution/{name...}/json", _look
    for path in ("/session", "/grpc"):
        yield "POST", path, _not_served


async def _look(request: Request) -> Reply:
    """The digest of what a name means, and the platforms that it is there for."""
    name, wanted = request.arguments["name"], options(request)

    def work(_: children.Tell) -> dict[str, Any]:
        from orlop.images import remote

        return remote.describe(name, wanted())

    return json(await children.call(work))


async def _not_served(_request: Request) -> Reply:
    raise Unsupported("BuildKit's protocol is not served: set DOCKER_BUILDKIT=0 in the client's environment")
