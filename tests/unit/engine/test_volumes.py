from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orlop.engine import container, volumes
from orlop.engine.location import Location
from orlop.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def location(tmp_path: Path) -> Location:
    made = Location(str(tmp_path / "root"), str(tmp_path / "run"), rootless=False)
    made.prepare()
    return made


def test_each_path_gets_one_volume_unless_something_else_is_mounted_there(location: Location) -> None:
    made = volumes.plan(location, ["/a", "/a/", "/b/../c", "//d"], taken=["/c"])
    assert [each["Destination"] for each in made] == ["/a", "/d"]
    assert len({each["Name"] for each in made}) == 2
    assert volumes.mounts(made)[0]["source"] == f"{location.volumes}/{made[0]['Name']}/_data"


@pytest.mark.parametrize("target", ["", "relative", "../../etc", "/", "//", "/..", "/a/..", "/a\0b"])
def test_a_path_that_is_none_in_the_container_is_refused(location: Location, target: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid volume"):
        volumes.plan(location, [target], taken=())


def made_for(location: Location, *, auto_remove: bool) -> tuple[str, dict[str, object], str]:
    """A published container with a volume: its directory, record, and the volume's name."""
    aside = f"{location.containers}/{container.NEW}x"
    os.mkdir(aside)
    planned = volumes.plan(location, ["/data"], taken=())
    volumes.prepare(location, aside, planned, [], "")
    volumes.publish(location, aside, planned)
    os.rename(aside, f"{location.containers}/x")
    return (
        f"{location.containers}/x",
        {"Mounts": planned, "HostConfig": {"AutoRemove": auto_remove}},
        planned[0]["Name"],
    )


def test_a_volume_stays_unless_its_removal_was_asked_for(location: Location) -> None:
    directory, record, name = made_for(location, auto_remove=False)
    volumes.withdraw(location, directory, record)
    assert os.listdir(location.volumes) == [name]
    volumes.mark(directory)
    volumes.withdraw(location, directory, record)
    assert os.listdir(location.volumes) == []
    assert os.path.isdir(f"{directory}/volumes/{name}/_data")
    volumes.withdraw(location, directory, record)  # a second time, after whoever did it was killed


def test_a_volume_of_a_container_with_rm_goes_with_it(location: Location) -> None:
    directory, record, _ = made_for(location, auto_remove=True)
    volumes.withdraw(location, directory, record)
    assert os.listdir(location.volumes) == []
