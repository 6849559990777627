"""Version 2 against a directory that has a hierarchy's file names.

A plain directory has none of the kernel's behaviour: what is checked here is which files are written with
which values and which are left alone, not that the kernel takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.errors import Conflict, Unsupported
from orlop.linux.cgroup import subtree
from orlop.linux.cgroup.layout import Hierarchy, Layout

if TYPE_CHECKING:
    from pathlib import Path

    from orlop.linux.cgroup.group import Group

FILES = [
    "memory.max",
    "memory.swap.max",
    "memory.low",
    "cpu.weight",
    "cpu.max",
    "pids.max",
    "io.weight",
    "io.max",
    "hugetlb.2MB.max",
]
CONTROLLERS = "cpu cpuset io memory pids hugetlb"


@pytest.fixture
def hierarchy(tmp_path: Path) -> Hierarchy:
    """A root and ``/orlop`` with all controllers, of which the root hands down only memory so far."""
    for directory, enabled in ((tmp_path, "memory"), (tmp_path / "orlop", "")):
        directory.mkdir(exist_ok=True)
        (directory / "cgroup.controllers").write_text(CONTROLLERS + "\n")
        (directory / "cgroup.subtree_control").write_text(enabled + "\n")
        (directory / "cgroup.procs").touch()
    return Hierarchy(2, (), str(tmp_path), "/")


@pytest.fixture
def group(hierarchy: Hierarchy, tmp_path: Path) -> Group:
    """An existing group with the files of most controllers."""
    directory = tmp_path / "orlop" / "box"
    directory.mkdir()
    for name in FILES:
        (directory / name).write_text("max 100000\n" if name == "cpu.max" else "")
    (directory / "cgroup.procs").touch()
    return Layout([], hierarchy).group("/orlop/box")


def test_controllers_are_handed_down_from_the_root_and_those_that_are_already_are_left(
    hierarchy: Hierarchy, tmp_path: Path
) -> None:
    assert subtree.enable(hierarchy, "/orlop/box", None) == {}

    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +cpuset +io +pids +hugetlb"
    assert (tmp_path / "orlop/cgroup.subtree_control").read_text() == "+cpu +cpuset +io +memory +pids +hugetlb"


def test_controllers_that_are_all_enabled_are_enabled_once_more_in_the_parent_to_wait_for_their_files(
    hierarchy: Hierarchy, tmp_path: Path
) -> None:
    (tmp_path / "orlop/cgroup.subtree_control").write_text("memory\n")

    assert subtree.enable(hierarchy, "/orlop/box", ("memory",)) == {}

    assert (tmp_path / "cgroup.subtree_control").read_text() == "memory\n"
    assert (tmp_path / "orlop/cgroup.subtree_control").read_text() == "+memory"


def test_an_update_writes_what_is_given_and_nothing_else(group: Group, tmp_path: Path) -> None:
    group.update(
        {
            "memory": {"limit": 1 << 26, "swap": 1 << 27},
            "cpu": {"shares": 1024, "quota": 50000},
            "pids": {"limit": 7},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 0}],
            "unified": {"memory.low": "4096"},
        }
    )

    directory = tmp_path / "orlop/box"
    assert {name: (directory / name).read_text().strip() for name in FILES} == {
        "memory.max": str(1 << 26),
        "memory.swap.max": str(1 << 26),
        "memory.low": "4096",
        "cpu.weight": "100",
        "cpu.max": "50000 100000",
        "pids.max": "7",
        "io.weight": "",
        "io.max": "",
        "hugetlb.2MB.max": "0",
    }


def test_a_controller_that_nobody_has_is_named_with_its_file(group: Group) -> None:
    with pytest.raises(Unsupported, match=r"rdma\.max .* controller rdma"):
        group.update({"rdma": {"mlx5_1": {"hcaHandles": 1}}})
    with pytest.raises(Unsupported, match=r"net_cls\.classid .* controller net_cls"):
        group.update({"network": {"classID": 1}})


def test_a_file_that_the_controller_lacks_is_named_with_its_value(group: Group) -> None:
    with pytest.raises(Unsupported, match=r"hugetlb\.1GB\.max cannot be set to 0"):
        group.update({"hugepageLimits": [{"pageSize": "1GB", "limit": 0}]})


def test_taking_away_a_limit_that_the_kernel_never_had_is_done_already(group: Group, tmp_path: Path) -> None:
    (tmp_path / "orlop/box/memory.swap.max").unlink()

    group.update({"memory": {"limit": 4096, "swap": -1}, "rdma": {}, "cpu": {"idle": 0}})

    assert (tmp_path / "orlop/box/memory.max").read_text() == "4096"


def test_a_group_with_processes_is_not_taken_over(group: Group, tmp_path: Path) -> None:
    (tmp_path / "orlop/box/inner").mkdir()
    (tmp_path / "orlop/box/inner/cgroup.procs").write_text("4711\n")

    with pytest.raises(Conflict, match="4711"):
        group.create({})


def test_giving_a_group_away_covers_the_files_that_the_kernel_lists(group: Group, tmp_path: Path) -> None:
    import os

    (tmp_path / "orlop/box/cgroup.subtree_control").touch()

    group.delegate(os.getuid(), os.getgid())

    assert (tmp_path / "orlop/box/cgroup.procs").stat().st_uid == os.getuid()
