"""A server for a module's tests, with an image ``plain``; each test removes its containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.api.served import Served
from tests.integration.engine.conftest import rootfs, screen  # noqa: F401 - fixtures
from tests.integration.engine.image_maker import make
from tests.integration.engine.networked import NetworkedEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[Served]:  # noqa: F811
    """A server, and its engine."""
    directory = tmp_path_factory.mktemp("served")
    made = Served(directory, NetworkedEngine(directory, rootfs))
    try:
        make(made.engine, "plain:latest")
        yield made
    finally:
        made.close()


def machine_of(served: Served) -> int:
    """A process on the machine that a module's server is on."""
    assert isinstance(served.engine, NetworkedEngine)
    return served.engine.machine.pid


@pytest.fixture(autouse=True)
def nothing_is_left(served: Served) -> Iterator[None]:
    """Each test starts without containers."""
    yield
    for name in served.engine.names():
        served.engine("rm", "-f", "-v", name)
