"""A state directory that was copied while it was written to, and is opened elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from tests.integration.engine import leftovers
from tests.integration.engine.conftest import PATIENCE, Engine
from tests.integration.engine.image_maker import make

if TYPE_CHECKING:
    from pathlib import Path


def _copy(engine: Engine, directory: Path) -> Engine:
    """Another engine with a copy of the state, such as a backup has; what vanishes meanwhile is missing."""
    copy = Engine(directory, directory)
    copy.rootfs = engine.rootfs
    subprocess.run(["cp", "-a", "--", engine.root, copy.root], check=False, stderr=subprocess.DEVNULL)
    return copy


def _settled(copy: Engine) -> None:
    """Give a command, after which nothing is left over but control groups, which are those of the original's containers."""
    copy.ok("ps", "-a")
    end = time.monotonic() + PATIENCE
    while left := [each for each in leftovers.found(copy) if not each.startswith("/sys/fs/cgroup")]:
        assert time.monotonic() < end, left
        time.sleep(0.01)


def test_a_state_directory_that_was_copied_in_mid_write_is_repaired_when_it_is_opened(
    engine: Engine, tmp_path: Path
) -> None:
    make(engine, "plain:latest")
    running = engine.ok("run", "-d", "--name", "web", "plain", "sh", "-c", "echo begun; sleep 1000").strip()
    engine.ok("create", "--name", "made", "-v", "data:/data", "plain", "true")
    for number in range(3):
        busy = [
            engine.popen(*words, stdin=-3, stdout=-3, stderr=-3)
            for words in (
                ["run", "--rm", "-v", "/data", "plain", "true"],
                ["create", "--name", f"new{number}", "-v", "/data", "plain", "true"],
                ["commit", "web", f"app:{number}"],
                ["rm", "-f", f"new{number - 1}"],
            )
        ]
        (tmp_path / f"copy{number}").mkdir()
        copy = _copy(engine, tmp_path / f"copy{number}")
        for each in busy:
            each.wait()
        _settled(copy)
        assert leftovers.damaged_logs(copy) == []
        state = copy.state(running)
        assert (state["Status"], state["ExitCode"]) == ("exited", 255)
        assert "made" in copy.names()
        assert copy.ok("logs", "web") == "begun\n"
        assert copy.ok("run", "--rm", "plain", "echo", "here") == "here\n"
        assert engine.state(running)["Status"] == "running"
        engine.ok("exec", "web", "true")
        copy.close()
        shutil.rmtree(copy.root)
