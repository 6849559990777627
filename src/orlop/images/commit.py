"""What a container's changes make of its image: one more layer, one more step of history, and how it starts now."""

from __future__ import annotations

from orlop import clock
from orlop.images import config, manifest, media_types
from orlop.images.config import Execution, Healthcheck, History, ImageConfig
from orlop.images.manifest import Descriptor
from orlop.storage.layers.compress import NONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from orlop.images.manifest import Manifest
    from orlop.storage.layers.diff import Layer

#: The archive without an entry: two blocks of zeros. Docker knows this DIFF ID too, and makes no layer of it.
_EMPTY_ARCHIVE = 1024
#: What a container has without anybody saying so; an image need not say it either.
_STOP_SIGNAL = "SIGTERM"
_STOP_TIMEOUT = 10


class Description:
    """What a user says about the new image: its ``author``, a ``comment``, and ``changes``, Dockerfile instructions."""

    __slots__ = ("author", "changes", "comment")

    def __init__(self, author: str = "", comment: str = "", changes: Sequence[str] = ()) -> None:
        self.author = author
        self.comment = comment
        self.changes = list(changes)


def execution(container: Mapping[str, Any]) -> Execution:
    """How the new image starts: as the container did, whose ``Config`` of Docker's API this is."""
    made = Execution()
    made.user = container["User"]
    made.exposed_ports = list(container.get("ExposedPorts") or ())
    made.env = list(container["Env"])
    made.entrypoint = list(container["Entrypoint"] or ())
    made.cmd = list(container["Cmd"])
    made.volumes = list(container.get("Volumes") or ())
    made.working_dir = container["WorkingDir"]
    made.labels = dict(container["Labels"])
    made.shell = list(container.get("Shell") or ())
    made.healthcheck = _healthcheck(container.get("Healthcheck"))
    if container["StopSignal"] != _STOP_SIGNAL:
        made.stop_signal = container["StopSignal"]
    if container["StopTimeout"] != _STOP_TIMEOUT:
        made.stop_timeout = container["StopTimeout"]
    return made


def _healthcheck(value: Mapping[str, Any] | None) -> Healthcheck | None:
    if value is None:
        return None
    return Healthcheck(
        value.get("Test") or (),
        interval=value.get("Interval") or 0,
        timeout=value.get("Timeout") or 0,
        start_period=value.get("StartPeriod") or 0,
        start_interval=value.get("StartInterval") or 0,
        retries=value.get("Retries") or 0,
    )


def derive(
    base: ImageConfig, below: Manifest, layer: Layer, starts: Execution, description: Description, created_by: str
) -> tuple[ImageConfig, Manifest]:
    """The new image's configuration and manifest; whoever calls this stores both.

    ``base`` and ``below`` are those of the container's image, ``layer`` is what the container changed,
    ``created_by`` the command that did.
    """
    made = ImageConfig(base.platform, base.diff_ids)
    made.created = clock.now()
    made.author = description.author
    made.config = starts
    is_empty = layer.uncompressed_size == _EMPTY_ARCHIVE
    step = History(
        made.created, created_by, author=description.author, comment=description.comment, empty_layer=is_empty
    )
    made.history = [*base.history, step]
    layers = list(below.layers)
    if not is_empty:
        made.diff_ids.append(layer.diff_id)
        layers.append(Descriptor(media_types.layer_type(below.media_type, NONE), layer.digest, layer.size))
    descriptor = config.describe(made.to_bytes(), below.config.media_type)
    return made, manifest.make_manifest(descriptor, layers, media_type=below.media_type)
