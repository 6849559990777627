"""An engine whose commands are carried out by its launcher, or fail.

Once the launcher runs, the interpreter is taken away and replaced by something that only ends with `COLD`: what
succeeds was carried out by the launcher, and what ends so was left to an interpreter.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.engine.conftest import ORLOP, Engine, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

COLD = 99
SOCKET = f"commands-{os.uname().machine}.sock"
CLIENT = REPOSITORY / "src/orlop/client" / os.uname().machine / "orlop"

NEEDS_CLIENT = pytest.mark.skipif(not CLIENT.exists(), reason=f"there is no client for {os.uname().machine}")


class WarmEngine(Engine):
    """An engine that is named by the environment, and an orlop whose interpreter can be taken away."""

    def __init__(self, directory: Path, rootfs: Path) -> None:
        super().__init__(directory, rootfs)
        self.bin = directory / "bin"
        self.bin.mkdir()
        (directory / "src").symlink_to(REPOSITORY / "src")
        shutil.copy(ORLOP, self.bin)
        (self.bin / "real").symlink_to(sys.executable)
        (self.bin / "cold").write_text(f"#!/bin/sh\nexit {COLD}\n")
        (self.bin / "cold").chmod(0o755)
        self.program = str(self.bin / "orlop")
        self.interpreter("real")

    def interpreter(self, name: str) -> None:
        """Have an interpreter that works, ``real``, or none, ``cold``."""
        (self.bin / "new").symlink_to(name)
        (self.bin / "new").rename(self.bin / "python3")

    def command(self, *arguments: str) -> list[str]:
        words = [self.rootfs if word == "ROOTFS" else word for word in arguments]
        environment = ["env", f"ORLOP_ROOT={self.root}", f"ORLOP_RUN_ROOT={self.run_root}"]
        return [*environment, *self.prefix, self.program, *words]

    def warm_up(self) -> None:
        """Have a launcher that waits, and no interpreter."""
        self.interpreter("real")
        assert self.run("true").code == 0
        self.launcher()
        wait_until((self.run_root / SOCKET).exists, "the second socket")
        self.interpreter("cold")

    def busy(self) -> list[int]:
        """Processes that carry out a command at this moment; the one that waits has a group of the launcher's."""
        return [pid for pid in self.processes("orlop-command") if leads_its_group(pid)]

    def close(self) -> None:
        self.interpreter("real")
        super().close()


def leads_its_group(pid: int) -> bool:
    """Whether the process is the first of its group; one that has ended meanwhile is not."""
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[WarmEngine]:
    made = WarmEngine(tmp_path_factory.mktemp("engine"), rootfs)
    made.warm_up()
    made.detached("box", "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done")
    yield made
    made.close()


@pytest.fixture
def own(tmp_path: Path, rootfs: Path) -> Iterator[WarmEngine]:
    """One whose launcher the test may kill."""
    made = WarmEngine(tmp_path, rootfs)
    made.warm_up()
    yield made
    made.close()


def read_until(descriptor: int, text: bytes) -> bytes:
    """What comes from a descriptor until ``text`` does."""
    data = b""
    while text not in data:
        assert select.select([descriptor], [], [], 60)[0], data
        more = os.read(descriptor, 4096)
        assert more, data
        data += more
    return data


def follow(warm: WarmEngine, **options: Any) -> subprocess.Popen[bytes]:
    """``logs -f`` of a container, which has begun to write."""
    process = warm.popen("logs", "-f", "box", stdout=subprocess.PIPE, **options)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def busy_one(warm: WarmEngine) -> int:
    """The process that carries the one command out; others may be just ending."""
    return int(wait_until(lambda: found[0] if len(found := warm.busy()) == 1 else 0, "one process that carries it out"))


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
