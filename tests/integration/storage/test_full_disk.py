"""Blobs and leases on file systems of a few megabytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from orlop.errors import InsufficientSpace
from orlop.storage import collect
from orlop.storage.blobs import Blobs
from orlop.storage.leases import Leases
from orlop.storage.store import Storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIZE = 6 << 20
CHUNK = os.urandom(1 << 20)
UNKNOWN = "sha256:" + "a" * 64


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A mounted file system that is soon full."""
    place = tmp_path / "disk"
    place.mkdir()
    if request.param == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "orlop-test", str(place)]
    else:
        image = tmp_path / "image"
        image.touch()
        os.truncate(image, SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image)], check=True)
        command = ["mount", "-o", "loop", str(image), str(place)]
    subprocess.run(command, check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def blobs(disk: Path) -> Blobs:
    """An empty blob store on the disk."""
    store = Blobs(f"{disk}/images")
    store.prepare()
    return store


def free(blobs: Blobs) -> int:
    system = os.statvfs(blobs.directory)
    return system.f_bfree * system.f_frsize


def fill(disk: Path) -> None:
    """Leave not a single block."""
    descriptor = os.open(disk / "filling", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for size in (1 << 20, 4096, 512, 1):
            try:
                while os.write(descriptor, CHUNK[:size]):
                    pass
            except OSError:
                continue
    finally:
        os.close(descriptor)


def repeat(write: Callable[[bytes], object]) -> None:
    """Write more than there is space for."""
    for _ in range(10):
        write(CHUNK)


def test_a_blob_that_does_not_fit_is_refused_before_it_is_fetched(blobs: Blobs) -> None:
    with pytest.raises(InsufficientSpace, match=f"it needs {SIZE} bytes and {free(blobs)} are free"):
        blobs.ingest(UNKNOWN, SIZE)
    assert os.listdir(blobs.ingests) == []


def test_a_fetch_that_fills_the_disk_gives_its_space_back(blobs: Blobs) -> None:
    before = free(blobs)
    ingest = blobs.ingest(UNKNOWN)
    assert ingest is not None
    with ingest:
        with pytest.raises(InsufficientSpace, match="no space left on device; free some with 'orlop system prune'"):
            repeat(ingest.write)
        assert ingest.offset == 0
    assert os.listdir(blobs.ingests) == []
    assert free(blobs) >= before - 4096
    assert blobs.read(blobs.write(CHUNK)) == CHUNK


def test_a_writer_that_fills_the_disk_gives_its_space_back(blobs: Blobs) -> None:
    with blobs.writer() as writer, pytest.raises(InsufficientSpace):
        repeat(writer.write)
    assert os.listdir(blobs.ingests) == []
    assert blobs.read(blobs.write(CHUNK)) == CHUNK


def test_a_fetch_can_go_on_when_there_is_space_again(blobs: Blobs, disk: Path) -> None:
    content = CHUNK * 3
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    (disk / "in the way").write_bytes(CHUNK * 2)
    ingest = blobs.ingest(digest)
    assert ingest is not None
    with ingest:
        try:
            for _ in range(3):
                ingest.write(CHUNK)
        except InsufficientSpace:
            (disk / "in the way").unlink()
            for _ in range(3):
                ingest.write(CHUNK)
        ingest.commit()
    blobs.verify(digest)
    assert blobs.size(digest) == len(content)


def test_on_a_full_disk_nothing_partial_appears_and_what_is_there_can_be_removed(blobs: Blobs, disk: Path) -> None:
    there = blobs.write(CHUNK)
    blobs.write(b"small")
    fill(disk)
    with pytest.raises(InsufficientSpace):
        blobs.write(CHUNK[:100_000])
    assert {digest for digest, _ in blobs.walk()} == {there, "sha256:" + hashlib.sha256(b"small").hexdigest()}
    assert os.listdir(blobs.ingests) == []
    assert blobs.set_aside(there)
    assert blobs.empty_trash() >= len(CHUNK)
    assert blobs.read(blobs.write(CHUNK)) == CHUNK


def test_a_lease_that_cannot_be_written_says_so_and_keeps_what_it_holds(disk: Path) -> None:
    leases = Leases(f"{disk}/leases")
    with leases.take() as lease:
        lease.hold(UNKNOWN)
        fill(disk)
        with pytest.raises(InsufficientSpace):
            lease.hold(*(f"sha256:{number:064x}" for number in range(1000)))
        with leases.lock():
            assert UNKNOWN in leases.held().blobs
        (disk / "filling").unlink()
        lease.hold("sha256:" + "b" * 64)
        with leases.lock():
            assert leases.held().blobs >= {UNKNOWN, "sha256:" + "b" * 64}


def test_a_sweep_makes_room_on_a_full_disk(disk: Path) -> None:
    storage = Storage(f"{disk}/root", rootless=False, driver="vfs")
    storage.prepare()
    storage.blobs.write(CHUNK)
    storage.snapshots.prepare("unpack")
    storage.snapshots.commit(UNKNOWN, "unpack")
    with storage.leases.take() as lease:
        needed = storage.blobs.write(b"needed", lease)
        fill(disk)
        swept = collect.sweep(storage, collect.Marked)
    assert len(swept.blobs) == 1
    assert swept.snapshots == [UNKNOWN]
    assert swept.bytes >= len(CHUNK)
    assert storage.blobs.read(needed) == b"needed"
    assert storage.blobs.read(storage.blobs.write(CHUNK[:500_000])) == CHUNK[:500_000]


def test_a_sweep_makes_room_though_the_trash_itself_cannot_grow(disk: Path) -> None:
    storage = Storage(f"{disk}/root", rootless=False, driver="vfs")
    storage.prepare()
    written = {storage.blobs.write(b"%d" % number) for number in range(60)}
    assert storage.snapshots.has(UNKNOWN) is False
    fill(disk)
    assert set(collect.sweep(storage, collect.Marked).blobs) == written
    assert list(storage.blobs.walk()) == []
    assert os.listdir(storage.blobs.trash) == []


def test_a_disk_without_inodes_is_full_too(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=16", "orlop-test", str(place)], check=True)
    try:
        blobs = Blobs(f"{place}/images")
        blobs.prepare()
        numbers = iter(range(20))
        with pytest.raises(InsufficientSpace, match="no space left on device"):
            repeat(lambda _: blobs.write(b"%d" % next(numbers)))
        assert os.listdir(blobs.ingests) == []
    finally:
        subprocess.run(["umount", str(place)], check=True)
