"""Every verb, broken off by SIGKILL at named points: the next command finds the engine in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.fault_points import POINTS, SCENARIOS, broken_off, start_launcher
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


@pytest.mark.parametrize(
    ("place", "runs"),
    [
        ("engine/starter.py:run:self._line.send(frames.STARTED", True),
        ("engine/starter.py:_start:birth.tell_runs", False),
    ],
)
def test_who_waits_for_a_container_to_start_hears_what_became_of_it_when_its_starter_is_killed(
    plain: Engine, tmp_path: Path, place: str, runs: bool
) -> None:
    launcher = start_launcher(plain, tmp_path / "mark", place)
    done = plain("run", "-d", "--name", "web", "plain", "sleep", "1000")
    launcher.terminate()
    launcher.wait()
    assert (tmp_path / "mark").exists()
    state = plain.state("web")
    if runs:
        assert (done.code, done.out.strip()) == (0, plain.inspect("web")["Id"])
        assert (state["Status"], state["ExitCode"]) == ("running", 0)
    else:
        assert (done.code, done.err) == (
            125,
            "orlop: the process that was starting the container was killed: start it again\n",
        )
        assert (state["Status"], state["ExitCode"]) == ("exited", 137)
        assert state["Error"] == "the process that was starting the container was killed"
    plain.ok("rm", "-f", "web")


def test_whatever_is_broken_off_has_its_points() -> None:
    without = set(SCENARIOS) - set(POINTS)
    assert {SCENARIOS[each].words[0] for each in without} <= {SCENARIOS[each].words[0] for each in POINTS} | _HARMLESS


#: Verbs that change nothing in more than one step.
_HARMLESS = {"pause", "export", "save", "image", "container"}
