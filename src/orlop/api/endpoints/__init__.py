"""All endpoints, a module for each part of the API's description."""

from __future__ import annotations

from orlop.api.attachments import Attachments
from orlop.api.endpoints import (
    archives,
    builds,
    container_streams,
    containers,
    distribution,
    execs,
    image_transfers,
    images,
    measurements,
    networks,
    swarm,
    system,
    volumes,
)
from orlop.api.watching import Watching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.api.metrics import Metrics
    from orlop.api.routes import Endpoint
    from orlop.engine.location import Location


def every(location: Location, metrics: Metrics) -> Iterator[tuple[str, str, Endpoint]]:
    """The method, the pattern of paths and the function of each endpoint of a server."""
    watching = Watching()
    attachments = Attachments(watching)
    yield from system.System(location, watching).routes()
    yield from containers.Containers(location, attachments, watching).routes()
    yield from container_streams.Streams(location, attachments, watching).routes()
    yield from archives.Archives(location).routes()
    yield from execs.Execs(location).routes()
    yield from image_transfers.Transfers(location).routes()
    yield from images.Images(location).routes()
    yield from builds.Builds(location).routes()
    yield from volumes.Volumes(location).routes()
    yield from networks.Networks(location).routes()
    yield from distribution.routes()
    yield from swarm.routes()
    yield from measurements.Measurements(location, metrics).routes()
