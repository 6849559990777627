"""Images with the storage drivers that are not the default."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.image_maker import GROUP, PASSWD, base, file, layer
from tests.integration.images.commands.archives import docker_archive, small
from tests.integration.images.commands.conftest import ImageEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["vfs", "btrfs"])
def driven(request: pytest.FixtureRequest, tmp_path: Path, rootfs: Path) -> Iterator[ImageEngine]:
    """An engine with a driver of its own, on a file system that suits it."""
    place = tmp_path / "place"
    place.mkdir()
    if request.param == "btrfs":
        if not shutil.which("mkfs.btrfs"):
            pytest.skip("needs mkfs.btrfs (Debian's btrfs-progs)")
        with (tmp_path / "image").open("wb") as image:
            image.truncate(256 << 20)
        subprocess.run(["mkfs.btrfs", "--quiet", tmp_path / "image"], check=True)
        subprocess.run(["mount", "-o", "loop", tmp_path / "image", place], check=True)
    try:
        made = ImageEngine(place, rootfs)
        made.variables["ORLOP_STORAGE_DRIVER"] = request.param
        yield made
        made.close()
    finally:
        if request.param == "btrfs":
            subprocess.run(["umount", place], check=True)


def test_an_image_is_pulled_run_committed_and_removed(driven: ImageEngine, place: str) -> None:
    name = f"{place}:{driven.variables['ORLOP_STORAGE_DRIVER']}"
    upper = layer(file("a/.wh.file"), file("a/other", "upper"))
    driven.load(docker_archive(name, [base(PASSWD, GROUP), small("lower"), upper]))
    driven.ok("push", name)
    driven.ok("rmi", name)
    assert driven.leftovers() == []
    driven.ok("pull", "-q", name)
    assert driven.image(name)["GraphDriver"]["Name"] == driven.variables["ORLOP_STORAGE_DRIVER"]
    assert driven.ok("run", "--rm", name, "sh", "-c", "ls /a; cat /a/other; echo x > /a/other") == "other\nupper"
    driven.ok("run", "--name", "changed", name, "sh", "-c", "rm /a/other; echo new > /new")
    driven.ok("commit", "changed", "made:1")
    driven.ok("rm", "changed")
    assert driven.ok("run", "--rm", "made:1", "sh", "-c", "ls /a; cat /new") == "new\n"
    driven.is_sound()
    wait_until(lambda: not driven.snapshots(), "the end of clearing away")
    driven.ok("rmi", "made:1", name)
    assert driven.leftovers() == []
