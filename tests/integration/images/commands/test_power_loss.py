"""What is there after a loss of power: a disk as it is at some moment, without what was still to be written to it."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.image_maker import GROUP, PASSWD, base, file, layer
from tests.integration.images.commands.archives import docker_archive, small
from tests.integration.images.commands.conftest import ImageEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def mounted(disk: Path, place: Path) -> Iterator[Path]:
    """A disk's file system."""
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_an_image_that_is_listed_is_whole_after_a_loss_of_power(tmp_path: Path, rootfs: Path) -> None:
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("needs mkfs.ext4 (Debian's e2fsprogs)")
    disk, later = tmp_path / "disk", tmp_path / "later"
    with disk.open("wb") as made:
        made.truncate(128 << 20)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True)
    many = layer(*(file(f"many/{number}", f"text {number}") for number in range(200)))
    with mounted(disk, tmp_path / "before") as place:
        engine = ImageEngine(place, rootfs)
        engine.load(docker_archive("app:1", [base(PASSWD, GROUP), small("text"), many], {"Env": ["PATH=/bin"]}))
        engine.ok("tag", "app:1", "app:2")
        shutil.copyfile(disk, later)  # the power is lost
        engine.close()
    with mounted(later, tmp_path / "after") as place:
        engine = ImageEngine(place, rootfs)
        assert engine.images() == ["app:1", "app:2"]
        engine.is_sound()
        counted = "cat /a/file; cat /many/* | wc -c; cat /etc/passwd | head -n 1"
        expected = f"text{sum(len(f'text {number}') for number in range(200))}\nroot:x:0:0:root:/root:/bin/sh\n"
        assert engine.ok("run", "--rm", "app:2", "sh", "-c", counted) == expected
        wait_until(lambda: not engine.snapshots(), "the end of clearing away")
        engine.close()
