"""podman and conmon: containers, exec, pods, and podman's two ways of reading a runtime's errors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.integration.interop.home import eventually
from tests.integration.interop.podman import IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.interop.podman import Podman


@pytest.fixture(scope="module")
def running(podman: Podman) -> Iterator[str]:
    """A container that only waits, for tests that do not change it."""
    name = podman.start("--memory=64m", IMAGE, "sleep", "1000")
    yield name
    podman("rm", "-f", "-t", "0", name)


@pytest.fixture
def container(podman: Podman) -> Iterator[str]:
    """A container of the test's own, which says what it was told by SIGUSR1 and SIGTERM."""
    script = "trap 'echo told' USR1; trap 'echo ending; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    name = podman.start(IMAGE, "sh", "-c", script)
    eventually(lambda: "ready" in podman("logs", name).out)
    yield name
    podman("rm", "-f", "-t", "0", name)


@pytest.fixture(params=["errors read from the JSON log", "errors read from stderr"])
def either_podman(podman: Podman, request: pytest.FixtureRequest) -> Iterator[Podman]:
    podman.log_as_json(request.param == "errors read from the JSON log")
    yield podman
    podman.log_as_json(True)


def test_output_arrives_on_the_stream_it_was_written_to(podman: Podman) -> None:
    assert podman.run(IMAGE, "sh", "-c", "echo out; echo err >&2") == (0, "out\n", "err\n")


def test_the_exit_status_is_passed_on(podman: Podman) -> None:
    assert podman.run(IMAGE, "sh", "-c", "exit 42").code == 42


def test_standard_input_reaches_the_program(podman: Podman) -> None:
    assert podman.run("-i", IMAGE, "cat", stdin="typed\n") == (0, "typed\n", "")


def test_a_terminal_has_the_size_of_the_users(podman: Podman) -> None:
    script = "until [ \"$(stty size 2> /dev/null)\" = '33 99' ]; do :; done; tty; exit 7"
    result = podman.on_terminal("run", "--rm", "-it", IMAGE, "sh", "-c", script, rows=33, columns=99)
    assert (result.code, result.out) == (7, "/dev/pts/0\n")


def test_a_program_that_is_not_there_gives_127(either_podman: Podman) -> None:
    result = either_podman.run(IMAGE, "no-such-program")
    assert result.code == 127
    assert 'exec: "no-such-program": executable file not found in $PATH' in result.err.replace("\\", "")


def test_what_cannot_be_executed_gives_126(either_podman: Podman) -> None:
    result = either_podman.run(IMAGE, "/etc/not-a-program")
    assert result.code == 126
    assert "permission denied" in result.err


def test_exec_of_a_program_that_is_not_there_gives_127(either_podman: Podman, running: str) -> None:
    result = either_podman("exec", running, "no-such-program")
    assert result.code == 127
    assert "executable file not found" in result.err


def test_exec_of_what_cannot_be_executed_gives_126(either_podman: Podman, running: str) -> None:
    result = either_podman("exec", running, "/etc/not-a-program")
    assert result.code == 126
    assert "permission denied" in result.err


def test_a_flag_for_the_runtime_is_passed_to_it(podman: Podman) -> None:
    result = podman("--runtime-flag=debug", "run", "--rm", f"--cgroup-parent={podman.home.cgroup}", IMAGE, "echo", "x")
    assert (result.code, result.out) == (0, "x\n")


def test_exec_runs_another_program_in_the_container(podman: Podman, running: str) -> None:
    assert podman("exec", running, "sh", "-c", "cat /proc/1/comm; exit 5") == (5, "sleep\n", "")


def test_exec_runs_as_the_user_and_where_asked(podman: Podman, running: str) -> None:
    result = podman("exec", "-u", "alice", "-w", "/tmp", "-e", "A=b", running, "sh", "-c", "id -un; pwd; echo $A")
    assert result.out == "alice\n/tmp\nb\n"


def test_exec_reads_standard_input(podman: Podman, running: str) -> None:
    assert podman("exec", "-i", running, "cat", stdin="typed\n") == (0, "typed\n", "")


def test_exec_on_a_terminal_has_the_size_of_the_users(podman: Podman, running: str) -> None:
    script = "until [ \"$(stty size 2> /dev/null)\" = '21 77' ]; do :; done; exit 9"
    assert podman.on_terminal("exec", "-it", running, "sh", "-c", script, rows=21, columns=77).code == 9


def test_exec_can_be_handed_a_descriptor(podman: Podman, running: str) -> None:
    exec_ = ["podman", "exec", "--preserve-fds=1", running, "cat", "/proc/self/fd/3"]
    moved = ["sh", "-c", 'exec "$@" 3<&0 0</dev/null', "sh", *exec_]
    assert podman.home.run(moved, env=podman.environment, stdin="handed over\n") == (0, "handed over\n", "")


def test_stop_lets_the_container_end_itself(podman: Podman, container: str) -> None:
    assert podman("stop", "-t", "10", container).code == 0
    assert podman.inspect(container)["State"]["ExitCode"] == 5


def test_stop_kills_what_does_not_listen(podman: Podman) -> None:
    name = podman.start(IMAGE, "sleep", "1000")
    assert podman("stop", "-t", "0", name).code == 0
    assert podman.inspect(name)["State"]["ExitCode"] == 137
    podman("rm", name)


def test_a_signal_of_the_users_choice_is_delivered(podman: Podman, container: str) -> None:
    assert podman("kill", "-s", "USR1", container).code == 0
    eventually(lambda: "told" in podman("logs", container).out)


def test_kill_ends_the_container(podman: Podman, container: str) -> None:
    assert podman("kill", container).code == 0
    assert podman("wait", container).out == "137\n"


def test_a_paused_container_stands_still_until_it_is_resumed(podman: Podman, container: str) -> None:
    assert podman("pause", container).code == 0
    identity = podman.inspect(container)["Id"]
    assert podman.inspect(container)["State"]["Status"] == "paused"
    assert podman.home.is_frozen(f"libpod-{identity}")
    assert podman("unpause", container).code == 0
    assert podman("exec", container, "echo", "awake").out == "awake\n"


def test_limits_are_changed_on_a_running_container(podman: Podman, container: str) -> None:
    result = podman("update", "--memory=128m", "--cpus=0.5", container)
    assert result.code == 0, result.err
    identity = podman.inspect(container)["Id"]
    assert podman.home.cgroup_file("memory", f"libpod-{identity}", "memory.limit_in_bytes") == str(128 << 20)
    assert podman.home.cgroup_file("cpu", f"libpod-{identity}", "cpu.cfs_quota_us") == "50000"


def test_top_and_stats_see_the_container(podman: Podman, running: str) -> None:
    assert podman("top", running, "comm").out.split() == ["COMMAND", "sleep"]
    assert " / 67.11MB" in podman("stats", "--no-stream", running).out


def test_a_restarted_container_is_a_new_process(podman: Podman, container: str) -> None:
    before = podman.inspect(container)["State"]["Pid"]
    assert podman("restart", "-t", "1", container).code == 0
    assert podman.inspect(container)["State"]["Pid"] != before


def test_a_health_check_is_run(podman: Podman, running: str) -> None:
    name = podman.start("--healthcheck-command=test -e /tmp/healthy", IMAGE, "sleep", "1000")
    assert podman("healthcheck", "run", name).code == 1
    podman("exec", name, "touch", "/tmp/healthy")
    assert podman("healthcheck", "run", name).code == 0
    podman("rm", "-f", "-t", "0", name)


def test_a_container_in_a_user_namespace_has_the_mapping_asked_for(podman: Podman) -> None:
    result = podman.run("--uidmap=0:100000:1000", IMAGE, "sh", "-c", "cat /proc/self/uid_map; touch /f; id -u")
    assert result.code == 0, result.err
    assert result.out.split() == ["0", "100000", "1000", "0"]


@pytest.mark.usefixtures("orlop_only")
def test_an_id_mapped_volume_belongs_to_the_containers_root(podman: Podman, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    result = podman.run("--uidmap=0:100000:1000", "-v", f"{tmp_path}:/data:idmap", IMAGE, "stat", "-c", "%u", "/data")
    assert (result.code, result.out) == (0, "0\n"), result.err


@pytest.mark.usefixtures("orlop_only")
def test_the_execution_domain_is_as_asked(podman: Podman) -> None:
    result = podman.run("--personality=LINUX32", IMAGE, "uname", "-m")
    assert result.code == 0
    assert result.out.strip() != os.uname().machine


def test_a_privileged_container_has_the_machines_capabilities(podman: Podman) -> None:
    with open("/proc/self/status") as stream:
        ours = next(line for line in stream if line.startswith("CapBnd"))
    assert podman.run("--privileged", IMAGE, "grep", "CapBnd", "/proc/self/status").out == ours


def test_volumes_tmpfs_and_a_read_only_root_go_together(podman: Podman, tmp_path: Path) -> None:
    options = ["--read-only", "--tmpfs=/scratch", "-v", f"{tmp_path}:/data"]
    result = podman.run(*options, IMAGE, "sh", "-c", "echo x > /data/f; touch /scratch/f && touch /f")
    assert result.code == 1
    assert "Read-only file system" in result.err
    assert (tmp_path / "f").read_text() == "x\n"


def test_a_pods_containers_share_its_namespaces(podman: Podman) -> None:
    options = ["--infra-image", IMAGE, "--infra-command=sleep 1000", f"--cgroup-parent={podman.home.cgroup}"]
    assert podman("pod", "create", "--name=pod", "--share=ipc,uts,net", *options).code == 0
    namespaces = ["sh", "-c", "for n in ipc uts net; do readlink /proc/self/ns/$n; done"]
    first = podman("run", "--rm", "--pod=pod", IMAGE, *namespaces)
    second = podman("run", "--rm", "--pod=pod", IMAGE, *namespaces)
    assert first.code == second.code == 0, first.err + second.err
    assert first.out == second.out
    assert first.out.split()[0] != os.readlink("/proc/self/ns/ipc")
    assert podman("pod", "pause", "pod").code == 0
    assert podman("pod", "unpause", "pod").code == 0
    assert podman("pod", "kill", "pod").code == 0
    assert podman("pod", "rm", "-f", "-t", "0", "pod").code == 0
