"""Snapshots of every driver, each on a file system that it works on.

The tests run as root, and once more as root of a user namespace (`test_rootless.py`), where ORLOP_TEST_ROOTLESS is set
and ORLOP_TEST_BTRFS names a directory of root's there on a btrfs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.storage.snapshots import choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.storage.snapshots.directory import SnapshotDirectory

ROOTLESS = bool(os.environ.get("ORLOP_TEST_ROOTLESS"))


@pytest.fixture(scope="session")
def btrfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A btrfs file system, on a loop device that ends with its mount; in a user namespace the one that is made known."""
    if ROOTLESS:
        yield Path(os.environ["ORLOP_TEST_BTRFS"])
        return
    if not shutil.which("mkfs.btrfs"):
        pytest.skip("needs mkfs.btrfs (Debian's btrfs-progs)")
    image = tmp_path_factory.mktemp("btrfs") / "image"
    with image.open("wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mkfs.btrfs", "--quiet", image], check=True)
    place = Path(tempfile.mkdtemp(prefix="orlop-btrfs-"))  # where users of a namespace can go
    place.chmod(0o755)
    try:
        subprocess.run(["mount", "-o", "loop", image, place], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)
    finally:
        place.rmdir()


@pytest.fixture(params=list(choice.DRIVERS))
def snapshots(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SnapshotDirectory]:
    """Snapshots of each driver, in a directory of their own."""
    if os.geteuid() != 0:
        pytest.skip("needs root: snapshots hold files of all owners")
    base = tmp_path
    if request.param == "btrfs":
        base = request.getfixturevalue("btrfs") / tmp_path.name
        base.mkdir()
    made = choice.open_snapshots(str(base / "snapshots"), asked=request.param, rootless=ROOTLESS)
    yield made
    for name in made.discard(info.name for info in made.walk()):
        assert not made.has(name)
    made.cleanup()
    assert set(os.listdir(made.directory)) <= {".empty"}
