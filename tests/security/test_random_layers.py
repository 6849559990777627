"""Layers at random, a few of each kind; `make soak` does the same with many."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from tests import layer_strategies
from tests.layer_properties import Place, comes_to_what_overlay_shows, does_no_harm

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: what an archive could do is done with root's rights"
)

few = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@few
@given(archive=layer_strategies.layers(indecent=True))
def test_layers_that_try_to_leave_do_no_harm(place: Place, archive: bytes) -> None:
    does_no_harm(place, archive)


@few
@given(archive=layer_strategies.damaged())
def test_damaged_layers_do_no_harm(place: Place, archive: bytes) -> None:
    does_no_harm(place, archive)


@few
@given(archive=layer_strategies.headers | layer_strategies.odd_headers)
def test_headers_of_anything_do_no_harm(place: Place, archive: bytes) -> None:
    does_no_harm(place, archive)


@few
@given(below=layer_strategies.layers(), above=layer_strategies.layers())
def test_merged_layers_are_what_overlay_shows(place: Place, below: bytes, above: bytes) -> None:
    comes_to_what_overlay_shows(place, below, above)
