"""containerd by ctr: tasks made, executed in, paused, measured and ended with the runtime under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.interop.home import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.interop.containerd import Containerd


@pytest.fixture
def task(containerd: Containerd) -> Iterator[str]:
    name = containerd.start("sleep", "1000", options=("--memory-limit=33554432",))
    yield name
    containerd("tasks", "delete", "--force", name)
    containerd("containers", "delete", name)


def test_a_task_prints_and_ends(containerd: Containerd) -> None:
    _, result = containerd.run("echo", "hello", options=("--rm",))
    assert result == (0, "hello\n", "")


def test_the_exit_status_is_passed_on(containerd: Containerd) -> None:
    _, result = containerd.run("sh", "-c", "exit 42", options=("--rm",))
    assert result.code == 42


def test_a_task_reads_standard_input(containerd: Containerd) -> None:
    _, result = containerd.run("head", "-n1", options=("--rm",), stdin="typed\n")  # ctr passes no end of file on
    assert result == (0, "typed\n", "")


def test_a_program_that_is_not_there_is_named(containerd: Containerd) -> None:
    _, result = containerd.run("no-such-program", options=("--rm",))
    assert result.code == 1
    assert 'exec: "no-such-program": executable file not found in $PATH' in result.err


def test_the_state_is_kept_where_runc_root_says(containerd: Containerd, tmp_path: Path) -> None:
    name = containerd.start("sleep", "1000", options=(f"--runc-root={tmp_path}/state",))
    assert (tmp_path / "state/default" / name).is_dir()
    containerd("tasks", "delete", "--force", name)
    containerd("containers", "delete", name)
    assert list((tmp_path / "state/default").iterdir()) == []


def test_a_running_task_is_listed_with_its_processes(containerd: Containerd, task: str) -> None:
    assert containerd.status(task) == "RUNNING"
    listing = containerd("tasks", "ls").out.splitlines()
    pid = next(line.split()[1] for line in listing if line.startswith(task))
    assert [line.split()[0] for line in containerd("tasks", "ps", task).out.splitlines()] == ["PID", pid]


def test_a_tasks_metrics_come_from_its_cgroup(containerd: Containerd, task: str) -> None:
    metrics = containerd("tasks", "metrics", task).out
    assert ["memory.limit_in_bytes", "33554432"] in [line.split() for line in metrics.splitlines()]
    assert ["pids.current", "1"] in [line.split() for line in metrics.splitlines()]


def test_another_program_is_run_in_a_task(containerd: Containerd, task: str) -> None:
    result = containerd("tasks", "exec", "--exec-id=e", task, "sh", "-c", "cat /proc/1/comm; exit 5")
    assert (result.code, result.out) == (5, "sleep\n")


def test_an_exec_that_cannot_be_run_says_why(containerd: Containerd, task: str) -> None:
    result = containerd("tasks", "exec", "--exec-id=e", task, "no-such-program")
    assert result.code == 1
    assert 'exec: "no-such-program": executable file not found in $PATH' in result.err


def test_a_task_is_paused_and_resumed(containerd: Containerd, task: str) -> None:
    assert containerd("tasks", "pause", task).code == 0
    assert containerd.status(task) == "PAUSED"
    assert "paused" in containerd("tasks", "exec", "--exec-id=e", task, "true").err
    assert containerd("tasks", "resume", task).code == 0
    assert containerd.status(task) == "RUNNING"


def test_a_signal_ends_a_task(containerd: Containerd, task: str) -> None:
    assert containerd("tasks", "kill", "-s", "SIGKILL", task).code == 0
    eventually(lambda: containerd.status(task) == "STOPPED")


def test_killing_a_stopped_task_is_not_found(containerd: Containerd, task: str) -> None:
    containerd("tasks", "kill", "-s", "SIGKILL", task)
    eventually(lambda: containerd.status(task) == "STOPPED")
    result = containerd("tasks", "kill", "-s", "SIGKILL", task)
    assert result.code == 1
    assert "not found" in result.err


def test_a_checkpoint_is_refused_with_a_reason_and_the_task_runs_on(containerd: Containerd, task: str) -> None:
    result = containerd("tasks", "checkpoint", task)
    assert result.code == 1
    assert "criu" in result.err.lower() or "checkpoint" in result.err.lower()
    assert containerd.status(task) == "RUNNING"


def test_containerds_seccomp_profile_is_installed(containerd: Containerd) -> None:
    _, result = containerd.run("grep", "Seccomp:", "/proc/self/status", options=("--rm", "--seccomp"))
    assert result.out == "Seccomp:\t2\n"


def test_a_task_without_pivot_root_runs(containerd: Containerd) -> None:
    _, result = containerd.run("echo", "moved", options=("--rm", "--no-pivot"))
    assert result == (0, "moved\n", "")
