"""An engine whose disk is full: one line says so, nothing is half made, and what runs goes on running."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine import leftovers
from tests.integration.engine.conftest import Engine, wait_until
from tests.integration.engine.image_maker import make
from tests.integration.images.commands.archives import docker_archive, small

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = b"x" * (1 << 20)

#: Each needs space in the engine's root.
_NEEDY = (
    "create --name other plain true",
    "run --rm --name other plain true",
    "run -d --name other plain sleep 1000",
    "run --rm --name other --rootfs ROOTFS true",
    "run --name other -v /data plain true",
    "start stopped",
    "commit web app:made",
    "load -i ARCHIVE",
    "tag plain app:tagged",
    "cp FILE web:/file",
    "volume create data",
    "update --memory 64m web",
    "update --env-add A=b stopped",
    "update --mount-add type=tmpfs,target=/mnt/x web",
    "snapshot web saved",
    "snapshot stopped saved",
    "fork stopped other",
    "exec web true",
    "restart -t 0 web",
    "rename stopped renamed",
)


class Disk:
    """A small file system of its own, which can be filled."""

    def __init__(self, directory: Path, megabytes: int) -> None:
        self.place = directory / "disk"
        self.place.mkdir()
        self._filling = self.place / "filling"
        image = directory / "image"
        image.touch()
        os.truncate(image, megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, self.place], check=True)

    def fill(self) -> None:
        """Leave not a single block."""
        descriptor = os.open(self._filling, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for size in (1 << 20, 4096, 512, 1):
            try:
                while os.write(descriptor, _CHUNK[:size]):
                    pass
            except OSError:
                continue
        os.close(descriptor)

    def free(self) -> None:
        """Have space again."""
        self._filling.unlink(missing_ok=True)


@pytest.fixture(params=["root", "run root"])
def full(request: pytest.FixtureRequest, tmp_path: Path, rootfs: Path) -> Iterator[tuple[Engine, Disk]]:
    """An engine with either of its directories on a small disk, a container that runs and one that is stopped."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("needs mkfs.ext4 (Debian's e2fsprogs)")
    disk = Disk(tmp_path, 32)
    engine = Engine(tmp_path, rootfs)
    if request.param == "root":
        engine.root = disk.place / "root"
    else:
        engine.run_root = disk.place / "run"
    try:
        make(engine, "plain:latest")
        engine.ok("run", "--name", "stopped", "plain", "true")
        engine.ok("run", "-d", "--name", "web", "plain", "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done")
        yield engine, disk
        disk.free()
        engine.close()
    finally:
        subprocess.run(["umount", "-l", disk.place], check=True)


def test_every_verb_says_that_the_disk_is_full_and_leaves_nothing(full: tuple[Engine, Disk], tmp_path: Path) -> None:
    engine, disk = full
    (tmp_path / "file").write_bytes(_CHUNK)
    (tmp_path / "archive.tar").write_bytes(docker_archive("app:1", [small("one")], {"Env": ["PATH=/bin"]}))
    for line in _NEEDY:
        disk.fill()
        words = line.replace("ARCHIVE", f"{tmp_path}/archive.tar").replace("FILE", f"{tmp_path}/file").split()
        done = engine(*words)
        if done.code:
            assert "no space left on device" in done.err.lower(), done
            assert len(done.err.replace("Error: failed to start containers: stopped\n", "").splitlines()) == 1, done
            assert "Traceback" not in done.err, done
        assert engine("exec", "web", "true").code in (0, 1, 125, 126)  # a record of it may find no place
        disk.free()
        leftovers.settled(engine)
        left = set(engine.names()) - {"web", "stopped", "renamed"}
        assert left <= (
            {"other"} if words[0] == "run" and "--rm" not in words else {"other"} if not done.code else set()
        )
        if left:  # what could be made and not be started is there, as it is with Docker
            engine.ok("rm", "-f", "-v", "other")
        if words[0] == "restart":  # it was stopped for that
            engine.ok("start", "web")
        assert engine.state("web")["Status"] == "running"


def test_an_end_that_could_not_be_written_down_is_known_when_there_is_space_again(full: tuple[Engine, Disk]) -> None:
    engine, disk = full
    disk.fill()
    monitor = engine.monitor(engine.ok("ps", "-q", "--no-trunc").strip())
    os.kill(engine.state("web")["Pid"], 15)
    wait_until(lambda: not os.path.exists(f"/proc/{monitor}"), "the end of the container")
    disk.free()
    state = engine.state("web")
    assert (state["Status"], state["ExitCode"]) == ("exited", 7)
    leftovers.settled(engine)
