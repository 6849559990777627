"""The library for event loops has all that the other has."""

from __future__ import annotations

import pytest

from orlop.aio import containers as aio_containers
from orlop.aio import engine as aio_engine
from orlop.library import container, containers, engine, images, networks, snapshots, volumes

#: What is not asked for in an event loop: what others build upon, and `Containers.close`, which the engine does.
_INNER = {"target", "location", "begin", "finish", "settings", "settle", "close"}


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if name[0] != "_"}


@pytest.mark.parametrize(
    ("other", "own"),
    [
        (container.Container, aio_containers.Container),
        (containers.Containers, aio_containers.Containers),
        (snapshots.Snapshots, aio_containers.Snapshots),
        (images.Images, aio_engine.Images),
        (networks.Networks, aio_engine.Networks),
        (volumes.Volumes, aio_engine.Volumes),
        (engine.Engine, aio_engine.Engine),
    ],
)
def test_whatever_can_be_done_can_be_awaited(other: type, own: type) -> None:
    assert public(other) - _INNER <= public(own)
