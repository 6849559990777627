"""An engine for a module's tests, from Python and by the command line, and nothing left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import orlop
from tests.integration.engine.conftest import Engine as CommandLine
from tests.integration.engine.conftest import rootfs  # noqa: F401 - a fixture
from tests.integration.engine.image_maker import make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[CommandLine]:  # noqa: F811
    """The command line on the engine of the module, which has an image ``plain``."""
    made = CommandLine(tmp_path_factory.mktemp("engine"), rootfs)
    make(made, "plain:latest")
    yield made
    made.close()


@pytest.fixture(scope="module")
def engine(command: CommandLine) -> Iterator[orlop.Engine]:
    """The engine of the module, from Python."""
    with orlop.Engine(command.root, command.run_root) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_is_left(engine: orlop.Engine) -> Iterator[None]:
    """Each test removes its containers."""
    yield
    engine.close()
    assert engine.containers.list(all=True) == []
