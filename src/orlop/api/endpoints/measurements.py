"""``/metrics``: what the server has done and what there is, in numbers."""

from __future__ import annotations

from orlop import filters
from orlop.api import children
from orlop.api.exchange import Reply
from orlop.api.metrics import CONTENT_TYPE
from orlop.engine import container_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.api.exchange import Request
    from orlop.api.metrics import Metrics
    from orlop.api.routes import Endpoint
    from orlop.engine.location import Location


class Measurements:
    """The endpoint for who measures."""

    __slots__ = ("_location", "_metrics")

    def __init__(self, location: Location, metrics: Metrics) -> None:
        self._location = location
        self._metrics = metrics

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Where this endpoint is."""
        yield "GET", "/metrics", self.metrics

    async def metrics(self, _request: Request) -> Reply:
        """All numbers."""
        containers = await children.call(lambda _: _by_state(self._location))
        return Reply(200, self._metrics.text(containers).encode(), CONTENT_TYPE)


def _by_state(location: Location) -> dict[str, int]:
    found = dict.fromkeys(container_list.STATES, 0)
    for each in container_list.listed(location, filters.read((), {}), everything=True):
        found[each.state["Status"]] += 1
    return found
