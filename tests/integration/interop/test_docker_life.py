"""A container's life under dockerd: exec, signals, pause, limits, restart, and its end."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.integration.interop.docker import IMAGE
from tests.integration.interop.home import CGROUPS, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.interop.docker import Docker

CAP_SYS_ADMIN = 1 << 21


@pytest.fixture(scope="module")
def running(docker: Docker) -> Iterator[str]:
    """A container that only waits, for tests that do not change it."""
    name = docker.start("-e", "FROM_RUN=yes", "--memory=64m", "--pids-limit=100", IMAGE, "sleep", "1000")
    yield name
    docker("rm", "-f", name)


@pytest.fixture
def container(docker: Docker) -> Iterator[str]:
    """A container of the test's own, which says what it was told by SIGUSR1 and SIGTERM."""
    script = "trap 'echo told' USR1; trap 'echo ending; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    name = docker.start(IMAGE, "sh", "-c", script)
    eventually(lambda: "ready" in docker("logs", name).out)
    yield name
    docker("rm", "-f", name)


def test_exec_runs_another_program_in_the_container(docker: Docker, running: str) -> None:
    assert docker("exec", running, "sh", "-c", "cat /proc/1/comm; exit 5") == (5, "sleep\n", "")


def test_exec_has_the_containers_environment_and_what_is_added(docker: Docker, running: str) -> None:
    result = docker("exec", "-e", "MORE=too", running, "sh", "-c", "echo $FROM_RUN $MORE")
    assert result.out == "yes too\n"


def test_exec_runs_as_the_user_and_where_asked(docker: Docker, running: str) -> None:
    result = docker("exec", "-u", "alice", "-w", "/tmp", running, "sh", "-c", "id -un; id -G; pwd")
    assert result.out == "alice\n1000 2000\n/tmp\n"


def test_exec_reads_standard_input(docker: Docker, running: str) -> None:
    assert docker("exec", "-i", running, "cat", stdin="typed\n") == (0, "typed\n", "")


def test_exec_on_a_terminal_has_the_size_of_the_users(docker: Docker, running: str) -> None:
    script = "until [ \"$(stty size 2> /dev/null)\" = '21 77' ]; do :; done; tty; exit 9"
    result = docker.on_terminal("exec", "-it", running, "sh", "-c", script, rows=21, columns=77)
    assert result.code == 9
    assert result.out.startswith("/dev/pts/")


def test_exec_in_the_background_returns_at_once(docker: Docker, running: str) -> None:
    assert docker("exec", "-d", running, "sh", "-c", "touch /tmp/done; exec sleep 1000").code == 0
    eventually(lambda: docker("exec", running, "test", "-e", "/tmp/done").code == 0)


def test_exec_is_held_by_the_containers_seccomp_filter_and_capabilities(docker: Docker, running: str) -> None:
    fields = ["grep", "-E", "^(Cap|Seccomp:|NoNewPrivs)", "/proc/self/status"]
    assert docker("exec", running, *fields).out == docker.run(IMAGE, *fields).out


@pytest.mark.usefixtures("orlop_only")
def test_exec_can_be_privileged(docker: Docker, running: str) -> None:
    result = docker("exec", "--privileged", running, "grep", "CapBnd", "/proc/self/status")
    assert int(result.out.split()[1], 16) & CAP_SYS_ADMIN


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["no-such-program"], "executable file not found"),
        (["/etc/not-a-program"], "permission denied"),
    ],
)
def test_exec_of_what_cannot_be_run_gives_126_and_the_reason(
    docker: Docker, running: str, command: list[str], reason: str
) -> None:
    result = docker("exec", running, *command)
    assert result.code == 126  # the docker of the day answers 126 for both
    assert reason in result.out + result.err


def test_exec_in_a_directory_that_is_not_there_fails(docker: Docker, running: str) -> None:
    result = docker("exec", "-w", "/no/such/directory", running, "true")
    assert result.code == 126
    assert "/no/such/directory" in result.out + result.err


def test_a_failed_exec_leaves_the_container_running(docker: Docker, running: str) -> None:
    docker("exec", running, "no-such-program")
    assert docker("exec", running, "echo", "well").out == "well\n"


def test_top_lists_the_containers_processes(docker: Docker, running: str) -> None:
    pid = docker.inspect(running)["State"]["Pid"]
    assert [str(pid), "sleep"] in [line.split() for line in docker("top", running, "-o", "pid,comm").out.splitlines()]


def test_stats_shows_use_and_limit(docker: Docker, running: str) -> None:
    shown = json.loads(docker("stats", "--no-stream", "--format={{json .}}", running).out)
    assert shown["MemUsage"].endswith(" / 64MiB")
    assert int(shown["PIDs"]) >= 1


def test_limits_are_in_the_containers_cgroup(docker: Docker, running: str) -> None:
    identity = docker.inspect(running)["Id"]
    assert docker.home.cgroup_file("memory", identity, "memory.limit_in_bytes") == str(64 << 20)
    assert docker.home.cgroup_file("pids", identity, "pids.max") == "100"


def test_stop_lets_the_container_end_itself(docker: Docker, container: str) -> None:
    assert docker("stop", "-t", "10", container).code == 0
    assert docker.inspect(container)["State"]["ExitCode"] == 5
    assert docker("logs", container).out.endswith("ending\n")


def test_stop_kills_what_does_not_listen(docker: Docker) -> None:
    name = docker.start(IMAGE, "sleep", "1000")  # process 1 has no handler, so SIGTERM does not reach it
    assert docker("stop", "-t", "0", name).code == 0
    assert docker.inspect(name)["State"]["ExitCode"] == 137
    docker("rm", name)


def test_a_signal_of_the_users_choice_is_delivered(docker: Docker, container: str) -> None:
    assert docker("kill", "-s", "USR1", container).code == 0
    eventually(lambda: "told" in docker("logs", container).out)
    assert docker.inspect(container)["State"]["Running"] is True


def test_kill_ends_the_container(docker: Docker, container: str) -> None:
    assert docker("kill", container).code == 0
    assert docker("wait", container).out == "137\n"


def test_a_paused_container_stands_still_until_it_is_resumed(docker: Docker, container: str) -> None:
    assert docker("pause", container).code == 0
    identity = docker.inspect(container)["Id"]
    assert docker.inspect(container)["State"]["Status"] == "paused"
    assert docker.home.is_frozen(identity)
    assert docker("exec", container, "true").code != 0
    assert docker("unpause", container).code == 0
    assert docker("exec", container, "echo", "awake").out == "awake\n"


def test_a_paused_container_can_be_removed(docker: Docker, container: str) -> None:
    docker("pause", container)
    assert docker("rm", "-f", container).code == 0
    assert docker("ps", "-aq", f"--filter=name={container}").out == ""


def test_limits_are_changed_on_a_running_container(docker: Docker, container: str) -> None:
    limits = ["--memory=128m", "--memory-swap=256m", "--cpus=0.5", "--pids-limit=50", "--cpu-shares=512"]
    result = docker("update", *limits, container)
    assert result.code == 0, result.err
    identity = docker.inspect(container)["Id"]
    assert docker.home.cgroup_file("memory", identity, "memory.limit_in_bytes") == str(128 << 20)
    assert docker.home.cgroup_file("cpu", identity, "cpu.cfs_quota_us") == "50000"
    assert docker.home.cgroup_file("cpu", identity, "cpu.shares") == "512"
    assert docker.home.cgroup_file("pids", identity, "pids.max") == "50"


def test_an_update_leaves_the_other_limits_alone(docker: Docker, container: str) -> None:
    docker("update", "--memory=128m", "--memory-swap=128m", container)
    docker("update", "--pids-limit=60", container)
    identity = docker.inspect(container)["Id"]
    assert docker.home.cgroup_file("memory", identity, "memory.limit_in_bytes") == str(128 << 20)
    assert docker.home.cgroup_file("pids", identity, "pids.max") == "60"


def test_a_restarted_container_is_a_new_process(docker: Docker, container: str) -> None:
    before = docker.inspect(container)["State"]["Pid"]
    assert docker("restart", "-t", "1", container).code == 0
    state = docker.inspect(container)["State"]
    assert state["Running"] is True
    assert state["Pid"] != before


def test_a_stopped_container_is_started_again_with_its_files(docker: Docker) -> None:
    name = docker.start(IMAGE, "sh", "-c", "echo again >> /count; cat /count")
    docker("wait", name)
    assert docker("start", "-a", name).out == "again\nagain\n"
    docker("rm", name)


def test_a_restart_policy_starts_a_failed_container_again(docker: Docker) -> None:
    name = docker.start("--restart=on-failure:2", IMAGE, "sh", "-c", "echo try; exit 3")
    eventually(lambda: docker.inspect(name)["RestartCount"] == 2 and not docker.inspect(name)["State"]["Running"])
    assert docker("logs", name).out == "try\ntry\ntry\n"
    docker("rm", "-f", name)


def test_logs_keep_what_was_written(docker: Docker) -> None:
    name = docker.start(IMAGE, "sh", "-c", "seq 1000; echo last >&2")
    assert docker("wait", name).out == "0\n"
    logs = docker("logs", name)
    assert logs.out.split() == [str(number) for number in range(1, 1001)]
    assert logs.err == "last\n"
    docker("rm", name)


def test_running_out_of_memory_is_reported(docker: Docker) -> None:
    name = docker.start("--memory=16m", IMAGE, "dd", "if=/dev/zero", "of=/dev/null", "bs=64M")
    assert docker("wait", name).out == "137\n"
    # docker hears of it by another way than of the end, so perhaps later.
    eventually(lambda: docker.inspect(name)["State"]["OOMKilled"] is True)
    docker("rm", name)


def test_a_container_with_six_megabytes_starts(docker: Docker) -> None:
    assert docker.run("--memory=6m", IMAGE, "echo", "small") == (0, "small\n", "")


def test_a_health_check_is_run(docker: Docker) -> None:
    options = ["--health-cmd=test -e /tmp/healthy", "--health-interval=50ms", "--health-retries=1"]
    name = docker.start(*options, IMAGE, "sleep", "1000")
    eventually(lambda: docker.inspect(name)["State"]["Health"]["Status"] == "unhealthy")
    docker("exec", name, "touch", "/tmp/healthy")
    eventually(lambda: docker.inspect(name)["State"]["Health"]["Status"] == "healthy")
    docker("rm", "-f", name)


def test_a_checkpoint_is_refused_with_a_reason_and_the_container_runs_on(docker: Docker, container: str) -> None:
    result = docker("checkpoint", "create", "--leave-running", container, "point")
    assert result.code != 0
    assert "criu" in result.err.lower() or "checkpoint" in result.err.lower()
    assert docker("exec", container, "echo", "alive").out == "alive\n"


def test_nothing_is_left_of_a_removed_container(docker: Docker) -> None:
    name = docker.start(IMAGE, "sleep", "1000")
    state = docker.inspect(name)
    assert docker("rm", "-f", name).code == 0
    assert not os.path.exists(f"/proc/{state['State']['Pid']}")
    left = [hierarchy for hierarchy in os.listdir(CGROUPS)
            if os.path.exists(f"{CGROUPS}/{hierarchy}{docker.home.cgroup}/{state['Id']}")]  # fmt: skip
    assert left == []
