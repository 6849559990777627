"""What `tests/integration/engine` does with one engine, longer, with more, and at any line."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import engine, rootfs
from tests.integration.engine.fault_points import SCENARIOS, broken_off
from tests.integration.engine.hammer import besiege, hammer
from tests.integration.engine.image_maker import make
from tests.integration.engine.test_many import run_at_once

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine.conftest import Engine

__all__ = ["engine", "rootfs"]

_TIMES = float(os.environ.get("ORLOP_SOAK", "1"))


@pytest.mark.parametrize("killing", [False, True], ids=["to their ends", "some of them killed"])
def test_twenty_processes_that_do_anything_for_long_leave_an_engine_in_order(
    engine: Engine, tmp_path: Path, killing: bool
) -> None:
    make(engine, "plain:latest")
    hammer(engine, tmp_path, 20, 60 * _TIMES, killing=killing)


def test_an_engine_somebody_of_which_is_killed_all_the_time_is_in_order_afterwards(
    engine: Engine, tmp_path: Path
) -> None:
    make(engine, "plain:latest")
    assert besiege(engine, tmp_path, 8, 60 * _TIMES) > 10


def test_two_hundred_containers_run_at_once(engine: Engine) -> None:
    run_at_once(engine, 200)


@pytest.mark.parametrize("verb", SCENARIOS)
def test_nothing_is_lost_or_left_whatever_line_a_process_is_killed_at(
    engine: Engine, tmp_path: Path, verb: str
) -> None:
    """Which lines is a matter of chance (ORLOP_SEED), and how many of ORLOP_SOAK."""
    make(engine, "plain:latest")
    scenario = SCENARIOS[verb]
    broken_off(engine, scenario, "record:", tmp_path)
    lines = sorted(set((tmp_path / "mark").read_text().split()))
    chance = random.Random(os.environ.get("ORLOP_SEED", "1"))
    for place in chance.sample(lines, min(len(lines), int(15 * _TIMES))):
        try:
            broken_off(engine, scenario, place, tmp_path)
        except BaseException as error:
            error.add_note(f"killed at {place}")
            raise
