from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orlop.engine import mount_plan, mounting, volume_store
from orlop.engine.location import Location
from orlop.engine.settings import Settings
from orlop.errors import Conflict, InvalidArgument, NotFound, Unsupported
from orlop.runtime.spec.namespaces import check_mappings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def location(tmp_path: Path) -> Location:
    made = Location(str(tmp_path / "root"), str(tmp_path / "run"), rootless=False)
    made.prepare()
    return made


def plan(location: Location, **fields: Any) -> mount_plan.Plan:
    settings = Settings(rootfs="/x", command=["true"])
    for name, value in fields.items():
        setattr(settings, name, value)
    return mounting.plan(location, settings)


@given(st.integers(0, 2**32 - 2), st.integers(0, 2**32 - 2))
def test_two_ids_stand_for_each_other_and_all_others_for_themselves(one: int, other: int) -> None:
    mapping = mount_plan.exchanged(one, other)
    check_mappings(mapping, "uidMappings")
    assert sum(each["size"] for each in mapping) == 2**32 - 1

    def mapped(number: int) -> int:
        each = next(each for each in mapping if 0 <= number - each["containerID"] < each["size"])
        return each["hostID"] + number - each["containerID"]

    assert (mapped(one), mapped(other)) == (other, one)
    for number in (0, 1000, 2**32 - 2):
        if number not in (one, other):
            assert mapped(number) == number


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("/a:/b", ["rbind", "rprivate", "rw"]),
        ("/a:/b:ro", ["rbind", "rprivate", "ro", "rro"]),
        ("/a:/b:ro,rslave", ["rbind", "rslave", "ro", "rro"]),
        ("/a:/b:bind-nonrecursive,ro", ["bind", "rprivate", "ro"]),
        ("/a:/b:z,cached", ["rbind", "rprivate", "rw"]),
    ],
)
def test_a_bind_has_docker_s_options(location: Location, text: str, options: list[str]) -> None:
    made = plan(location, binds=[text])
    assert made.mounts == [{"destination": "/b", "type": "bind", "source": "/a", "options": options}]
    assert made.sources == ["/a"]


def test_points_are_docker_s(location: Location) -> None:
    made = plan(location, binds=["/a:/b:ro", "data:/d"], volumes=["/v"], tmpfs={"/t": ""})
    bind, named, anonymous = made.points
    assert bind == {
        "Type": "bind", "Source": "/a", "Destination": "/b", "Mode": "ro", "RW": False, "Propagation": "rprivate",
    }  # fmt: skip
    assert (named["Type"], named["Name"], named["Source"]) == ("volume", "data", f"{location.volumes}/data/_data")
    assert (anonymous["Type"], len(anonymous["Name"])) == ("volume", 64)


def test_what_the_user_mounts_goes_before_the_image_s_volume(location: Location) -> None:
    made = plan(location, tmpfs={"/v/": "size=1m"}, volumes=["/v", "/w"])
    assert [each["Destination"] for each in made.made] == ["/w"]


def test_an_ordinary_user_s_mounts_cannot_have_their_ids_mapped(tmp_path: Path) -> None:
    location = Location(str(tmp_path / "root"), str(tmp_path / "run"), rootless=True)
    with pytest.raises(Unsupported, match="only root"):
        plan(location, binds=["/a:/b:idmap"])


def test_a_volume_is_there_once_and_keeps_what_it_was_made_with(location: Location) -> None:
    first = volume_store.create(location, "name", labels={"a": "1"})
    assert volume_store.create(location, "name", labels={"b": "2"}) == first
    with pytest.raises(Conflict, match="other options"):
        volume_store.create(location, "name", options={"type": "tmpfs", "device": "tmpfs"})
    volume_store.remove(location, "name")
    with pytest.raises(NotFound, match="get name: no such volume"):
        volume_store.find(location, "name")
    assert volume_store.names(location) == []


@pytest.mark.parametrize("name", ["", "a", "a/b", "../x", ".hidden", "-x", "ä1", "a b", "x" * 256])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="volume name"):
        volume_store.check_name(name)


@pytest.mark.parametrize(
    "options", [{"o": "size=1"}, {"type": "tmpfs"}, {"device": "x"}, {"bogus": "1"}, {"o": "bind", "device": "/x"}]
)
def test_options_that_are_not_enough_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match="option"):
        volume_store.check_options(options)


def test_names_lead_nowhere_else(location: Location, tmp_path: Path) -> None:
    (tmp_path / "root/volumes").mkdir()
    (tmp_path / "root/elsewhere").mkdir()
    for name in ("../elsewhere", ".", "..", ""):
        with pytest.raises(NotFound):
            volume_store.find(location, name)
        with pytest.raises(NotFound):
            volume_store.remove(location, name)
