"""tmpcopyup: what the image has at a mount's place is copied by a privileged process."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.security import hostile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import BundleMaker, Runtime

ROUNDS = 20


def test_links_are_copied_and_not_followed(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the host's")
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory/secret").write_text("the host's")
    made = bundle("sh", "-c", "cat /data/*; cat /data/*/*; ls -l /data; true")
    data = made.rootfs / "data"
    data.mkdir()
    (data / "file").symlink_to(tmp_path / "secret")
    (data / "directory").symlink_to(tmp_path / "directory")
    (data / "up").symlink_to("../../../../../../../../../" + str(tmp_path / "secret"))
    hostile.mount(made, "/data", "tmpfs", "tmpfs", "tmpcopyup")
    said = hostile.output(runtime, made)
    assert "the host's" not in said
    assert f"-> {tmp_path}/secret" in said


@pytest.mark.parametrize("dangling", [False, True])
def test_the_place_itself_is_a_link(runtime: Runtime, bundle: BundleMaker, tmp_path: Path, *, dangling: bool) -> None:
    outside = tmp_path / "outside"
    if not dangling:
        outside.mkdir()
        (outside / "secret").write_text("the host's")
    made = bundle("sh", "-c", "find / -xdev -name secret; cat /data/secret; true")
    (made.rootfs / "bin/find").symlink_to("busybox")
    (made.rootfs / "data").symlink_to(outside)
    hostile.mount(made, "/data", "tmpfs", "tmpfs", "tmpcopyup")
    assert hostile.output(runtime, made) == ""
    assert outside.exists() is not dangling


def test_directories_that_are_exchanged_for_links_meanwhile(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("the host's")
    made = bundle("sh", "-c", "cat /data/*/secret /data/secret 2>/dev/null; true")
    data = made.rootfs / "data"
    (data / "a").mkdir(parents=True)
    (data / "b").symlink_to(outside)
    (data / "c").write_text("file")
    (data / "d").symlink_to(outside / "secret")
    hostile.mount(made, "/data", "tmpfs", "tmpfs", "tmpcopyup")
    copied = 0
    with hostile.racing((data / "a", data / "b"), (data / "c", data / "d")):
        for _ in range(ROUNDS):
            result = hostile.attempt(runtime, made)
            # What changed while it was copied ends the creation; what was copied has nothing of the host.
            assert "the host's" not in result.output
            copied += result.status == 0
    assert copied, "no round got through, so nothing was raced"
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_fifo_does_not_hold_the_copy_up(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "test -p /data/fifo && echo fifo")
    (made.rootfs / "data").mkdir()
    os.mkfifo(made.rootfs / "data/fifo")
    hostile.mount(made, "/data", "tmpfs", "tmpfs", "tmpcopyup")
    assert hostile.output(runtime, made, timeout=20) == "fifo\n"


def test_a_device_that_the_container_may_not_have_is_not_copied(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "cat /data/memory | wc -c")
    (made.rootfs / "data").mkdir()
    os.mknod(made.rootfs / "data/memory", stat.S_IFCHR | 0o666, os.makedev(1, 1))
    hostile.mount(made, "/data", "tmpfs", "tmpfs", "tmpcopyup")
    result = hostile.attempt(runtime, made)
    assert result.status != 0 or result.output.strip() == "0"


def test_more_than_the_mount_holds_ends_the_creation(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    (made.rootfs / "data").mkdir()
    with (made.rootfs / "data/sparse").open("wb") as file:
        file.truncate(1 << 40)
    hostile.mount(made, "/data", "tmpfs", "tmpfs", "tmpcopyup", "size=64k")
    result = hostile.attempt(runtime, made, timeout=30)
    assert result.status == 1
    assert "No space left" in result.errors or "no space left" in result.errors


def test_directories_deeper_than_a_stack_end_in_words(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    (made.rootfs / "data").mkdir()
    directory = os.open(made.rootfs / "data", os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=directory)
        below = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)
    hostile.mount(made, "/data", "tmpfs", "tmpfs", "tmpcopyup")
    try:
        result = hostile.attempt(runtime, made)
    finally:
        # Not left to pytest, whose own walk is recursive.
        subprocess.run(["rm", "-rf", str(made.rootfs / "data")], check=True)
    assert result.status in (0, 1)
    assert "internal error" not in result.errors
