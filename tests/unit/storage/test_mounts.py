"""Mounts as values."""

from __future__ import annotations

import pytest

from orlop.errors import InvalidArgument
from orlop.storage import mounts
from orlop.storage.mounts import Mount


def test_a_mount_is_written_and_read_as_the_runtime_specification_has_it() -> None:
    made = Mount("overlay", "overlay", ["lowerdir+=/a", "ro"])
    assert made.as_json() == {"type": "overlay", "source": "overlay", "options": ["lowerdir+=/a", "ro"]}
    assert Mount.from_json(made.as_json()) == made
    assert repr(made) == "Mount('overlay', 'overlay', ['lowerdir+=/a', 'ro'])"


def test_mounts_are_equal_if_all_of_them_is() -> None:
    assert Mount("bind", "/a", ["bind", "rw"]) == Mount("bind", "/a", ("bind", "rw"))
    assert Mount("bind", "/a", ["bind", "rw"]) != Mount("bind", "/a", ["bind", "ro"])
    assert Mount("bind", "/a", []) != {"type": "bind", "source": "/a", "options": []}


def test_whether_a_mount_can_be_written_to_is_in_its_options() -> None:
    assert Mount("bind", "/a", ["bind", "ro"]).read_only
    assert not Mount("bind", "/a", ["bind", "rw"]).read_only


def test_what_cannot_be_attached_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match="mounts of type zfs are not known: expected overlay or bind"):
        mounts.attach([Mount("zfs", "pool/tree", [])])
    with pytest.raises(InvalidArgument, match="a snapshot is seen by one mount, not by 2"):
        mounts.attach([Mount("bind", "/", []), Mount("bind", "/", [])])
    with pytest.raises(InvalidArgument, match="not by 0"):
        mounts.attach([])


@pytest.mark.parametrize(
    ("release", "older"),
    [("5.15.0-91-generic", True), ("6.1.0-18-amd64", True), ("6.6.87", True), ("6.7.0", False), ("6.12-rc1", False),
     ("6.18.44-fc", False), ("7.0", False)],
)  # fmt: skip
def test_the_kernels_release_says_whether_it_takes_layers_one_by_one(release: str, older: bool) -> None:
    assert mounts.is_older_kernel(release) is older
