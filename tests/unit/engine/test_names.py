from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orlop.engine import names
from orlop.errors import Conflict, InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path

ID = "a" * 64
OTHER = "b" * 64


@pytest.fixture
def engine(tmp_path: Path) -> tuple[str, str]:
    """The names' and the containers' directories, with one container."""
    for name in ("names", f"containers/{ID}"):
        (tmp_path / name).mkdir(parents=True)
    return str(tmp_path / "names"), str(tmp_path / "containers")


def test_a_name_belongs_to_whoever_claims_it_first(engine: tuple[str, str]) -> None:
    directory, containers = engine
    names.claim(directory, "web", ID, containers)
    with pytest.raises(Conflict, match="already in use"):
        names.claim(directory, "web", OTHER, containers)
    assert names.holder_of(directory, "web") == ID


def test_a_name_whose_container_is_gone_can_be_claimed(engine: tuple[str, str]) -> None:
    directory, containers = engine
    names.claim(directory, "web", OTHER, containers)
    names.claim(directory, "web", ID, containers)
    assert names.holder_of(directory, "web") == ID


def test_a_container_that_is_still_being_prepared_keeps_its_name(engine: tuple[str, str]) -> None:
    directory, containers = engine
    os.mkdir(f"{containers}/.new-{OTHER}")
    names.claim(directory, "web", OTHER, containers)
    with pytest.raises(Conflict):
        names.claim(directory, "web", ID, containers)


def test_only_the_holder_releases_a_name(engine: tuple[str, str]) -> None:
    directory, containers = engine
    names.claim(directory, "web", ID, containers)
    names.release(directory, "web", OTHER)
    assert names.holder_of(directory, "web") == ID
    names.release(directory, "web", ID)
    assert names.holder_of(directory, "web") is None


def test_sweeping_frees_the_names_of_containers_that_are_gone_only(engine: tuple[str, str]) -> None:
    directory, containers = engine
    names.claim(directory, "web", ID, containers)
    names.claim(directory, "gone", OTHER, containers)
    names.sweep(directory, containers)
    assert (names.holder_of(directory, "web"), names.holder_of(directory, "gone")) == (ID, None)


@pytest.mark.parametrize("name", ["web", "Web_1.2-3", "0x"])
def test_docker_s_names_are_allowed(name: str) -> None:
    names.validate(name)


@pytest.mark.parametrize("name", ["", "a", "-web", "_web", "we/b", "we b", "..", "wéb", "x" * 256])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid container name"):
        names.validate(name)


def test_generated_names_are_valid_and_get_a_number_when_many_are_taken() -> None:
    for attempt in range(6):
        name = names.generate(attempt)
        names.validate(name)
        assert name[-1].isdigit() == (attempt >= 3)
