"""Whatever is killed with SIGKILL, the next command finds the engine in order."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.engine import container
from tests.integration.conftest import REPOSITORY
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: has_ended(pid))


def test_a_container_whose_monitor_was_killed_is_ended_and_recorded(engine: Engine) -> None:
    container_id = engine.detached("web", "sleep", "1000")
    pid = engine.state("web")["Pid"]
    kill(engine.monitor(container_id))
    state = engine.state("web")
    assert (state["Status"], state["ExitCode"], state["Running"]) == ("exited", 137, False)
    assert "monitor was killed" in state["Error"]
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert os.listdir(engine.run_root / "runtime") == []
    engine.ok("rm", "web")


def test_a_container_that_ended_after_its_monitor_has_an_unknown_status(engine: Engine) -> None:
    container_id = engine.detached("web", "sleep", "1000")
    pid = engine.state("web")["Pid"]
    monitor = engine.monitor(container_id)
    kill(monitor)
    kill(pid)
    state = engine.state("web")
    assert (state["Status"], state["ExitCode"]) == ("exited", 255)


def test_a_container_with_rm_whose_monitor_was_killed_is_removed(engine: Engine) -> None:
    container_id = engine.ok("run", "-d", "--rm", "--name", "web", "--rootfs", "ROOTFS", "sleep", "1000").strip()
    kill(engine.monitor(container_id))
    assert engine.names() == []
    wait_until(lambda: engine.containers() == [], "the end of clearing away")
    assert engine.ok("run", "--rm", "--name", "web", "--rootfs", "ROOTFS", "echo", "again") == "again\n"


def test_a_monitor_is_not_ended_by_what_ends_sessions(engine: Engine) -> None:
    container_id = engine.detached("web", "sleep", "1000")
    monitor = engine.monitor(container_id)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        os.kill(monitor, number)
    engine.ok("exec", "web", "true")
    assert engine.monitor(container_id) == monitor
    engine.ok("stop", "-t", "0", "web")
    assert engine.state("web")["ExitCode"] == 137


def test_containers_outlive_their_launcher_and_the_next_command_starts_another(engine: Engine) -> None:
    engine.detached(
        "web", "sh", "-c", "while [ ! -e /tmp/end-$HOSTNAME ]; do sleep 0.02; done; rm /tmp/end-$HOSTNAME; exit 5"
    )
    first = engine.launcher()
    kill(first)
    assert engine.state("web")["Status"] == "running"
    assert engine.run("echo", "still here").out == "still here\n"
    wait_until(lambda: engine.launcher() != first)
    engine.ok("exec", "web", "sh", "-c", "touch /tmp/end-$HOSTNAME")
    engine.ok("logs", "-f", "web")
    assert engine.state("web")["ExitCode"] == 5


def test_a_launcher_that_is_told_to_end_takes_its_socket_along(engine: Engine) -> None:
    engine.run("true")
    os.kill(engine.launcher(), signal.SIGTERM)
    wait_until(lambda: not engine.processes())
    assert not (engine.run_root / "launcher.sock").exists()


def test_the_cgroup_of_a_killed_launcher_goes_once_nobody_is_in_it(engine: Engine) -> None:
    engine.detached("web", "sleep", "1000")
    first = engine.launcher()
    hierarchies = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")]  # version 2; version 1
    directories = [each / f"orlop/launcher-{first}" for each in hierarchies]
    directories = [each for each in directories if each.exists()]
    assert directories
    kill(first)
    engine.ok("rm", "-f", "web")
    wait_until(lambda: not engine.processes())
    engine.ok("ps")
    assert not [each for each in directories if each.exists()]


def test_a_launcher_of_changed_code_is_replaced(engine: Engine, tmp_path: Path) -> None:
    for name in ("bin", "src"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    engine.prefix = (sys.executable, "-IS")
    engine.program = str(tmp_path / "bin/orlop")
    engine.run("true")
    first = engine.launcher()
    (tmp_path / "src/orlop/engine/pump.py").touch()  # the same content, and yet newer than what the launcher has loaded
    assert engine.run("echo", "new").out == "new\n"
    wait_until(lambda: engine.launcher() != first)


def test_a_container_outlives_the_command_that_started_it(engine: Engine) -> None:
    process = engine.popen("run", "--name", "web", "-i", "--rootfs", "ROOTFS", "sh", "-c", "echo ready; cat; exit 6",
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"ready\n"
    kill(process.pid)
    process.wait()
    process.stdout.close()
    process.stdin.close()
    engine.ok("logs", "-f", "web")  # cat sees the end of its input
    assert engine.state("web")["ExitCode"] == 6


@pytest.mark.parametrize("moment", range(12))
def test_a_command_killed_at_any_moment_leaves_nothing_half_made(engine: Engine, moment: int) -> None:
    engine.run("true")
    engine.launcher()
    process = engine.popen("run", "--rm", "--name", "web", "--rootfs", "ROOTFS", "true", stdout=-3, stderr=-3)
    time.sleep(0.004 * moment)
    process.kill()
    process.wait()
    # The container may have been started by then, and ends by itself.
    wait_until(lambda: engine.ok("ps", "-a", "-q") == "")
    wait_until(lambda: not [name for name in engine.containers() if engine.ok("ps", "-a") and name])
    # Whoever was asked to make it may even begin only now.
    wait_until(lambda: engine("run", "--rm", "--name", "web", "--rootfs", "ROOTFS", "echo", "free").out == "free\n")


def test_half_made_and_half_removed_directories_are_cleared(engine: Engine) -> None:
    engine.run("true")
    for name in (container.NEW, container.GONE):
        directory = engine.root / "containers" / f"{name}{'c' * 64}"
        (directory / "upper/deep").mkdir(parents=True)
    (engine.root / "names/stale").symlink_to("d" * 64)
    engine.ok("ps")
    wait_until(lambda: engine.containers() == [], "the end of clearing away")
    assert not (engine.root / "names/stale").is_symlink()


def test_a_directory_that_somebody_is_still_preparing_is_left_alone(engine: Engine) -> None:
    engine.run("true")
    directory = engine.root / "containers" / f"{container.NEW}{'c' * 64}"
    directory.mkdir()
    held = container.lock(str(directory))
    assert held is not None
    engine.ok("ps")
    assert directory.exists()
    os.close(held)
    engine.ok("ps")
    assert not directory.exists()


def test_after_a_reboot_what_ran_has_exited(engine: Engine) -> None:
    container_id = engine.detached("web", "sleep", "1000")
    pid = engine.state("web")["Pid"]
    kill(engine.monitor(container_id))
    kill(pid)
    # What a reboot does to the run directory, less the runtime's state, whose cgroups would stay in this test.
    for path in (engine.run_root / "monitors").iterdir():
        path.unlink()
    state = engine.state("web")
    assert (state["Status"], state["ExitCode"]) == ("exited", 255)


def test_a_monitor_killed_while_its_client_waits_is_told(engine: Engine) -> None:
    process = engine.popen("run", "--name", "web", "--rootfs", "ROOTFS", "sh", "-c", "echo ready; sleep 1000",
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    container_id = engine.ok("ps", "-q", "--no-trunc").strip()
    kill(engine.monitor(container_id))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 125
    assert b"monitor" in errors
    assert engine.state("web")["Status"] == "exited"
