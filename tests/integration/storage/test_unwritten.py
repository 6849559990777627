"""Snapshots that are used before they are on the disk, and what has them written there."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from orlop.storage import mounts, unwritten
from orlop.storage.store import Storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST = "sha256:" + "1" * 64
SECOND = "sha256:" + "2" * 64

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: snapshots hold files of all owners")


def made(root: Path) -> Storage:
    """A store with two provisional snapshots."""
    storage = Storage(str(root), rootless=False)
    storage.prepare()
    for name in (FIRST, SECOND):
        unpack(storage, name)
    return storage


def unpack(storage: Storage, name: str, size: int = 5) -> None:
    """Make a provisional snapshot."""
    with mounts.attached(storage.snapshots.prepare("key")) as top:
        file = os.open("file", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=top)
        os.write(file, b"x" * size)
        os.close(file)
    storage.snapshots.commit(name, "key", provisional=True)


def notes(storage: Storage) -> list[str]:
    return os.listdir(f"{storage.directory}/unwritten")


def test_what_is_noted_is_confirmed_and_nothing_else(tmp_path: Path) -> None:
    storage = made(tmp_path / "root")
    assert not unwritten.is_waiting(storage)
    unwritten.settle(storage)  # there is nothing to do
    unwritten.note(storage, [FIRST, "sha256:" + "3" * 64])
    assert unwritten.is_waiting(storage)
    unwritten.settle(storage)
    assert list(storage.snapshots.provisional([FIRST, SECOND])) == [SECOND]
    assert notes(storage) == []


def test_a_note_that_somebody_is_at_is_left_to_them(tmp_path: Path) -> None:
    storage = made(tmp_path / "root")
    unwritten.note(storage, [FIRST])
    (name,) = notes(storage)
    held = os.open(f"{storage.directory}/unwritten/{name}", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    unwritten.note(storage, [SECOND])
    unwritten.settle(storage)
    assert list(storage.snapshots.provisional([FIRST, SECOND])) == [FIRST]
    assert notes(storage) == [name]
    assert not unwritten.is_waiting(storage)
    os.close(held)  # they were killed
    assert unwritten.is_waiting(storage)
    unwritten.settle(storage)
    assert storage.snapshots.provisional([FIRST, SECOND]) == {}


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Path]:
    """A disk that has less space than it says, so that what is written to it at last fails."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("needs mkfs.ext4 (Debian's e2fsprogs)")
    small, place = tmp_path / "small", tmp_path / "place"
    small.mkdir()
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", small], check=True)
    try:
        with (small / "disk").open("wb") as disk:
            disk.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", small / "disk"], check=True)
        subprocess.run(["mount", "-o", "loop", small / "disk", place], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)  # the loop device may be just letting go of it


def test_what_could_not_be_written_is_never_confirmed(failing: Path) -> None:
    storage = made(failing / "root")
    unwritten.note(storage, [FIRST, SECOND])
    unwritten.settle(storage)
    unpack(storage, "sha256:" + "3" * 64, size=24 << 20)
    unwritten.note(storage, ["sha256:" + "3" * 64])
    with pytest.raises(OSError, match="syncfs"):
        unwritten.settle(storage)
    unwritten.settle(storage)  # which the kernel would say succeeded
    assert list(storage.snapshots.provisional([FIRST, SECOND, "sha256:" + "3" * 64])) == ["sha256:" + "3" * 64]
