"""An engine whose commands are carried out by its launcher, or fail.

Once the launcher runs, the interpreter is taken away and replaced by something that only ends with `COLD`: what
succeeds was carried out by the launcher, and what ends so was left to an interpreter.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.engine.conftest import ORLOP, Engine, wait_until

if TYPE_CHECKING:
    from pathlib import Path

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
        return [pid for pid in self.processes("orlop-command") if os.getpgid(pid) == pid]

    def close(self) -> None:
        self.interpreter("real")
        super().close()
