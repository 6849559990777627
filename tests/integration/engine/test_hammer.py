"""Twenty processes at once that do anything to one engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.hammer import hammer
from tests.integration.engine.image_maker import make

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine.conftest import Engine


@pytest.mark.parametrize("killing", [False, True], ids=["to their ends", "some of them killed"])
def test_twenty_processes_that_do_anything_leave_an_engine_in_order(
    engine: Engine, tmp_path: Path, killing: bool
) -> None:
    make(engine, "plain:latest")
    assert hammer(engine, tmp_path, 20, 7, killing=killing) > 20
