"""What `tests/security/test_random_layers.py` does, for minutes instead of a second."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests import layer_strategies
from tests.layer_properties import Place, comes_to_what_overlay_shows, does_no_harm

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: what an archive could do is done with root's rights"
)

#: ORLOP_SOAK multiplies it.
EXAMPLES = int(3000 * float(os.environ.get("ORLOP_SOAK", "1")))
SECONDS = int(120 * float(os.environ.get("ORLOP_SOAK", "1")))

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@many
@given(archive=layer_strategies.layers(indecent=True, most=30))
def test_layers_that_try_to_leave_do_no_harm(place: Place, archive: bytes) -> None:
    does_no_harm(place, archive)


@many
@given(archive=layer_strategies.damaged())
def test_damaged_layers_do_no_harm(place: Place, archive: bytes) -> None:
    does_no_harm(place, archive)


@many
@given(archive=layer_strategies.headers | layer_strategies.odd_headers)
def test_headers_of_anything_do_no_harm(place: Place, archive: bytes) -> None:
    does_no_harm(place, archive)


@many
@given(below=layer_strategies.layers(most=25), above=layer_strategies.layers(most=25))
def test_merged_layers_are_what_overlay_shows(place: Place, below: bytes, above: bytes) -> None:
    comes_to_what_overlay_shows(place, below, above)


def test_atheris_finds_nothing_that_does_harm(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="needs atheris, which is optional: pip install atheris")
    fuzzer = Path(__file__).with_name("fuzz_layers.py")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (tmp_path / "place").mkdir()
    command = [sys.executable, str(fuzzer), str(tmp_path / "place"), str(corpus)]
    done = subprocess.run(
        [*command, f"-max_total_time={SECONDS}", "-max_len=8192", f"-artifact_prefix={tmp_path}/"],
        check=False, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    shutil.rmtree(corpus)
    assert done.returncode == 0, done.stderr[-5000:]
