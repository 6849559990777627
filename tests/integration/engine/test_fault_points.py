"""Every verb, broken off by SIGKILL at named points: the next command finds the engine in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.fault_points import POINTS, SCENARIOS, broken_off
from tests.integration.engine.image_maker import make

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine.conftest import Engine


@pytest.fixture(scope="module")
def plain(shared: Engine) -> Engine:
    """The engine of all tests here, with an image."""
    make(shared, "plain:latest")
    return shared


@pytest.mark.parametrize(("verb", "place"), [(verb, place) for verb, places in POINTS.items() for place in places])
def test_nothing_is_lost_or_left_by_a_process_that_is_killed_at(
    plain: Engine, tmp_path: Path, verb: str, place: str
) -> None:
    assert broken_off(plain, SCENARIOS[verb], place, tmp_path), "nobody came to this place"


def test_whatever_is_broken_off_has_its_points() -> None:
    without = set(SCENARIOS) - set(POINTS)
    assert {SCENARIOS[each].words[0] for each in without} <= {SCENARIOS[each].words[0] for each in POINTS} | _HARMLESS


#: Verbs that change nothing in more than one step.
_HARMLESS = {"pause", "export", "save", "image", "container"}
