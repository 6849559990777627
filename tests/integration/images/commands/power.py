"""A machine that loses its power: its disk as it is at that moment, seen under another boot of the kernel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.engine import killed_at
from tests.integration.engine.conftest import wait_until
from tests.integration.images.commands.conftest import ImageEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engine.conftest import Engine

#: The place of the source where nothing of an image is known to be on the disk, and its name is published.
BEFORE_THE_DISK = "storage/unwritten.py:settle:disk.write_out"

_OTHER_BOOT = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'


class Machine:
    """An engine on a disk of its own, whose power can be lost."""

    def __init__(self, directory: Path, rootfs: Path) -> None:
        self._directory = directory
        self._rootfs = rootfs
        #: Of the storage.
        self.driver = "overlay"
        self._boots = 0
        self.disk = directory / "disk"

    def make(self) -> None:
        """Make the disk's file system, one with a journal."""
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("needs mkfs.ext4 (Debian's e2fsprogs)")
        with self.disk.open("wb") as made:
            made.truncate(48 << 20)
        subprocess.run(["mkfs.ext4", "-q", self.disk], check=True)

    @contextmanager
    def booted(self) -> Iterator[ImageEngine]:
        """The engine, in a boot of its own. Its containers are removed, and what it has begun is waited for, at the end."""
        self._boots += 1
        place = self._directory / "place"
        place.mkdir(exist_ok=True)
        subprocess.run(["mount", "-o", "loop", self.disk, place], check=True)
        try:
            engine = ImageEngine(place, self._rootfs)
            shutil.rmtree(engine.run_root, ignore_errors=True)  # as a reboot does
            engine.prefix = self.prefix()
            engine.variables["ORLOP_STORAGE_DRIVER"] = self.driver
            yield engine
            if ids := engine.ok("ps", "-aq").split():
                engine.ok("rm", "-f", *ids)
            wait_until(lambda: not engine.snapshots(), "the end of clearing away")
            engine.close()
        finally:
            subprocess.run(["umount", place], check=True)

    def prefix(self) -> tuple[str, ...]:
        """What is before a command that sees another boot's id than the last boot's commands did."""
        boot = self._directory / f"boot-id-{self._boots}"
        if not boot.exists():
            boot.write_text(f"{uuid.uuid4()}\n")
        return ("unshare", "--mount", "sh", "-c", _OTHER_BOOT, str(boot))

    def lose_power(self) -> None:
        """From the next boot on the disk is what it is now: nothing is written to it any more."""
        later = self.disk.with_name(f"{self.disk.name}-later-{self._boots}")
        shutil.copyfile(self.disk, later)
        self.disk = later


def lose_files(engine: ImageEngine) -> None:
    """Empty all that is in images' snapshots, but for those that are known to be on the disk: the worst there can be."""
    for snapshot in (engine.root / "snapshots").glob("*/sha256:*"):
        try:
            if "confirmed" in json.loads((snapshot / "record.json").read_bytes()):
                continue
        except ValueError:
            pass  # it was lost itself
        for path in snapshot.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.name != "record.json":
                path.write_bytes(b"")


def write_out(engine: ImageEngine) -> None:
    """Have everything on the disk that was written so far."""
    subprocess.run(["sync", "--file-system", engine.root], check=True)


def killed(engine: ImageEngine, place: str, *words: str, given: bytes = b"") -> None:
    """Do a command, of whose processes the first that comes to a place of the source is killed there."""
    mark = engine.home / "mark"
    mark.unlink(missing_ok=True)
    program = [sys.executable, "-IS", killed_at.__file__, str(REPOSITORY / "src"), str(mark), place]
    own = ["--root", str(engine.root), "--run-root", str(engine.run_root), *words]
    subprocess.run(
        [*engine.prefix, *program, *own],
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
        env=engine.variables,
    )
    wait_until(mark.exists, f"somebody at {place}")
    wait_until(lambda: not engine.processes("orlop-write"), "the end of whom nobody waited for")


def settled(engine: Engine) -> None:
    """Wait until nothing is left to be written to the disk."""
    wait_until(lambda: not notes(engine) and not engine.processes("orlop-write"), "what is written to the disk")


def notes(engine: Engine) -> list[Path]:
    """The reminders of what is to be written to the disk."""
    return sorted((engine.root / "unwritten").glob("*"))


def settled_by_next(engine: ImageEngine) -> None:
    """Have the next command go on with what was broken off, and wait until nothing is left to be written to the disk."""
    engine.ok("ps")
    settled(engine)
