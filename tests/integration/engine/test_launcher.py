"""What the warm launcher makes must be what the command itself would have made."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine


@pytest.fixture
def warm(engine: Engine) -> Engine:
    """An engine whose launcher is at the door."""
    engine.ok("run", "--rm", "--rootfs", "ROOTFS", "true")
    wait_until((engine.run_root / "launcher.sock").exists, "the launcher's socket")
    return engine


def test_relative_paths_mean_the_caller_s_directory(warm: Engine) -> None:
    root = Path(warm.rootfs)
    out = warm.ok("run", "--rm", "--rootfs", root.name, "echo", "found", cwd=root.parent)
    assert out == "found\n"


def test_a_relative_seccomp_profile_is_read_in_the_caller_s_directory(warm: Engine, tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    out = warm.ok(
        "run", "--rm", "--security-opt", "seccomp=none.json", "--rootfs", "ROOTFS", "echo", "read", cwd=tmp_path
    )
    assert out == "read\n"


def test_what_cannot_be_made_is_told_and_leaves_nothing(warm: Engine) -> None:
    result = warm("run", "--name", "lost", "--rootfs", "/nowhere", "true")
    assert result.code == 125
    assert "root directory /nowhere does not exist" in result.err
    assert warm.ok("ps", "-aq") == ""
    assert os.listdir(warm.root / "names") == []


def test_a_name_in_use_is_refused_by_whoever_makes_the_container(warm: Engine) -> None:
    warm.ok("run", "-d", "--name", "taken", "--rootfs", "ROOTFS", "sleep", "60")
    result = warm("run", "--name", "taken", "--rootfs", "ROOTFS", "true")
    assert result.code == 125
    assert "already in use" in result.err


def test_an_environment_too_large_for_one_packet_arrives_whole(warm: Engine) -> None:
    value = "x" * 100_000
    out = warm.ok(
        "run", "--rm", "-e", f"A={value}", "-e", f"B={value}", "--rootfs", "ROOTFS", "sh", "-c", "echo ${#A} ${#B}"
    )
    assert out == "100000 100000\n"


def test_warnings_come_before_the_program_s_output(warm: Engine) -> None:
    result = warm("run", "--rm", "--privileged", "--rootfs", "ROOTFS", "sh", "-c", "echo said >&2")
    assert result.code == 0
    lines = result.err.splitlines()
    assert lines[-1] == "said"
    assert all(line.startswith("WARNING: ") for line in lines[:-1])


def test_a_caller_who_changes_its_mind_costs_nothing(warm: Engine) -> None:
    assert warm("run", "--env-file", "/nowhere", "--rootfs", "ROOTFS", "true").code == 125
    assert warm.ok("run", "--rm", "--rootfs", "ROOTFS", "echo", "still") == "still\n"


def test_a_server_that_goes_before_it_reads_is_done_without(warm: Engine) -> None:
    """Whoever accepts a caller may be killed; a request that was not read is carried out by the caller itself."""
    wait_until(lambda: warm.processes("orlop-starter"), "a starter at the door")
    everybody = warm.processes()
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    caller = warm.popen("run", "--rm", "--rootfs", "ROOTFS", "echo", "done", stdout=subprocess.PIPE)
    wait_until(lambda: _waits(caller.pid), "the caller waiting for an answer")
    for pid in everybody:
        os.kill(pid, signal.SIGKILL)
    out, _ = caller.communicate(timeout=30)
    assert (caller.returncode, out) == (0, b"done\n")


def _waits(pid: int) -> bool:
    """Whether a process is blocked in receiving from its socket."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0] in ("45", "47", "207", "212")
