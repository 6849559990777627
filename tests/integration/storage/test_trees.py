"""Walking and removing trees that somebody hostile has made."""

from __future__ import annotations

import fcntl
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from orlop.errors import OrlopError
from orlop.linux import btrfs as subvolumes
from orlop.linux import namespace
from orlop.storage import mounts, trees
from orlop.storage.snapshots import choice

from .conftest import ROOTLESS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts and subvolumes are made for real")


@pytest.mark.parametrize("threads", [1, 4])
def test_a_wide_and_deep_tree_is_removed_by_one_thread_and_by_several(tmp_path: Path, threads: int) -> None:
    for number in range(40):
        below = tmp_path / "tree" / str(number) / "a/b/c"
        below.mkdir(parents=True)
        for name in range(5):
            (below / str(name)).touch()
    deepest = os.open(tmp_path / "tree/7", os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=deepest)
        below_that = os.open("d", os.O_RDONLY, dir_fd=deepest)
        os.close(deepest)
        deepest = below_that
    os.close(deepest)
    os.symlink("/etc", tmp_path / "tree/8/link")
    (tmp_path / "tree/9").chmod(0)
    (tmp_path / "beside").touch()
    trees.remove(str(tmp_path / "tree"), threads=threads)
    assert os.listdir(tmp_path) == ["beside"]
    trees.remove(str(tmp_path / "tree"), threads=threads)
    trees.remove(str(tmp_path / "nowhere/tree"), threads=threads)
    trees.remove(str(tmp_path / "beside"), threads=threads)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("threads", [1, 4])
def test_what_is_mounted_in_a_tree_is_not_removed_with_it(tmp_path: Path, threads: int) -> None:
    (tmp_path / "tree/a/b/mounted").mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            namespace.unshare(namespace.CLONE_NEWNS)
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            subprocess.run(["mount", "--bind", tmp_path / "precious", tmp_path / "tree/a/b/mounted"], check=True)
            try:
                trees.remove(str(tmp_path / "tree"), threads=threads)
            except OrlopError as error:
                status = 0 if "tree/a/b/mounted cannot be entered: something is mounted there" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (tmp_path / "precious/file").exists()


def test_a_walk_ends_where_a_directory_was_moved_away_meanwhile(tmp_path: Path) -> None:
    for name in ("top/first/inner", "top/second", "elsewhere/other"):
        (tmp_path / name).mkdir(parents=True)
    descriptor = os.open(tmp_path / "top", os.O_RDONLY)
    seen = []
    try:
        for depth, name, _, _ in trees.walk(descriptor):
            seen.append(name)
            if depth == 2:
                (tmp_path / "top/first/inner").rename(tmp_path / "elsewhere/inner")
    finally:
        os.close(descriptor)
    assert "other" not in seen
    assert "elsewhere" not in seen


def test_subvolumes_that_a_program_made_are_removed_with_its_snapshot(btrfs: Path, tmp_path: Path) -> None:
    snapshots = choice.open_snapshots(str(btrfs / tmp_path.name), asked="btrfs", rootless=ROOTLESS)
    with mounts.attached(snapshots.prepare("key")) as root:
        os.mkdir("deep", dir_fd=root)
        inside = os.open("deep", os.O_RDONLY, dir_fd=root)
        subvolumes.create_subvolume(inside, "own")
        own = os.open("own", os.O_RDONLY, dir_fd=inside)
        os.close(os.open("file", os.O_CREAT, dir_fd=own))
        subvolumes.create_subvolume(own, "nested")
        subvolumes.snapshot(own, inside, "copy")
        copy = os.open("copy", os.O_RDONLY, dir_fd=inside)
        fcntl.ioctl(copy, 0x4008941A, (2).to_bytes(8, "little"))  # BTRFS_SUBVOL_RDONLY
        with pytest.raises(OSError, match="Read-only"):
            os.unlink("file", dir_fd=copy)
        for descriptor in (inside, copy):
            os.close(descriptor)
        for _ in range(250):  # deeper than what is removed in place
            os.mkdir("d", dir_fd=own)
            below = os.open("d", os.O_RDONLY, dir_fd=own)
            os.close(own)
            own = below
        os.close(own)
    snapshots.remove("key")
    assert os.listdir(snapshots.directory) == []


def test_subvolumes_in_subvolumes_are_removed_however_many(btrfs: Path, tmp_path: Path) -> None:
    snapshots = choice.open_snapshots(str(btrfs / tmp_path.name), asked="btrfs", rootless=ROOTLESS)
    with mounts.attached(snapshots.prepare("key")) as root:
        here = os.open(".", os.O_RDONLY, dir_fd=root)
        for _ in range(400):
            subvolumes.create_subvolume(here, "inner")
            below = os.open("inner", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)
    snapshots.remove("key")
    assert os.listdir(snapshots.directory) == []
