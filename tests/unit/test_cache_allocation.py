"""``linux.intelRdt`` before the kernel sees it: which lines are written, which group is taken, and what is left of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import Conflict, InvalidConfig, NotFound, StepFailed
from orlop.linux import resctrl
from orlop.runtime import cache_allocation

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        ({}, []),
        ({"l3CacheSchema": "L3:0=f"}, ["L3:0=f"]),
        ({"l3CacheSchema": "L3:0=f\nMB:0=50"}, ["L3:0=f", "MB:0=50"]),
        ({"l3CacheSchema": "L3:0=f\nMB:0=50", "memBwSchema": "MB:0=20"}, ["L3:0=f", "MB:0=20"]),
        ({"memBwSchema": "MB:0=20", "schemata": ["L3:0=3", "L2:0=1"]}, ["MB:0=20", "L3:0=3", "L2:0=1"]),
    ],
)
def test_the_lines_that_are_written(wanted: dict[str, Any], lines: list[str]) -> None:
    assert cache_allocation.asked(wanted) == lines


def test_shares_are_numbers_however_they_are_written() -> None:
    written = "    L3:0=00ff;1=F\nMB:0= 50;1=100\n"
    assert resctrl.shares(written) == {("L3", "0"): 255, ("L3", "1"): 15, ("MB", "0"): 50, ("MB", "1"): 100}


@pytest.mark.parametrize("line", ["L3", "L3:0", "L3:0=x", "MB:0=f"])
def test_a_line_of_another_form_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"has not the form|invalid literal"):
        resctrl.shares(line)


def there(top: Path, name: str, schemata: str) -> str:
    (top / name).mkdir()
    (top / name / "schemata").write_text(schemata)
    return str(top)


@pytest.mark.parametrize("asked", [{}, {"l3CacheSchema": "L3:0=0f"}, {"schemata": ["MB:1=100"]}])
def test_a_group_that_is_there_is_taken_if_its_shares_are_those(asked: dict[str, Any], tmp_path: Path) -> None:
    top = there(tmp_path, "gold", "    L3:0=f;1=ff\n    MB:0=50;1=100\n")
    allocation = cache_allocation.allocate({"closID": "gold", **asked}, "id", top)
    assert allocation.record() == {"group": f"{top}/gold", "monitor": "", "own": False}
    allocation.remove()
    assert (tmp_path / "gold").is_dir()


def test_a_group_that_is_there_is_not_changed(tmp_path: Path) -> None:
    top = there(tmp_path, "gold", "L3:0=f\n")
    with pytest.raises(Conflict, match="has other shares of L3"):
        cache_allocation.allocate({"closID": "gold", "l3CacheSchema": "L3:0=3"}, "id", top)
    with pytest.raises(InvalidConfig, match="has not the form"):
        cache_allocation.allocate({"closID": "gold", "l3CacheSchema": "L3"}, "id", top)
    assert (tmp_path / "gold/schemata").read_text() == "L3:0=f\n"


def test_a_named_group_without_shares_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no resctrl group"):
        cache_allocation.allocate({"closID": "gold"}, "id", str(tmp_path))


def test_the_default_group_is_the_root(tmp_path: Path) -> None:
    allocation = cache_allocation.allocate({"closID": "/"}, "id", str(tmp_path))
    assert allocation.record()["group"] == str(tmp_path)


def test_without_a_name_the_group_has_the_containers_and_goes_with_it(tmp_path: Path) -> None:
    allocation = cache_allocation.allocate({}, "id", str(tmp_path))
    assert (tmp_path / "id").is_dir()
    cache_allocation.from_record(allocation.record()).remove()
    assert not (tmp_path / "id").exists()


def test_a_group_that_cannot_have_its_shares_is_removed_again(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="schemata"):  # a plain directory has no such file
        cache_allocation.allocate({"l3CacheSchema": "L3:0=f"}, "id", str(tmp_path))
    assert list(tmp_path.iterdir()) == []
