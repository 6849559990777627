"""A container's life: started, listed, looked into, stopped and removed, from different commands."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine

WAIT_FOR_TERM = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.02; done"


def wait_for_line(engine: Engine, name: str, line: str) -> None:
    """Follow a container's log until a line is there."""
    follower = engine.popen("logs", "-f", name, stdout=subprocess.PIPE)
    assert follower.stdout is not None
    for each in follower.stdout:
        if each.decode().strip() == line:
            break
    else:
        pytest.fail(f"{line} was never written")
    follower.kill()
    follower.wait()
    follower.stdout.close()


def test_a_detached_container_is_listed_by_name_and_id(engine: Engine) -> None:
    container_id = engine.detached("web", "sleep", "1000")
    assert len(container_id) == 64
    row = json.loads(engine.ok("ps", "--format", "json"))
    assert (row["Names"], row["ID"], row["State"], row["Command"]) == (
        "web",
        container_id[:12],
        "running",
        '"sleep 1000"',
    )
    assert engine.ok("ps", "-q", "--no-trunc").strip() == container_id
    table = engine.ok("ps").splitlines()
    assert table[0].split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert "Up " in table[1]


def test_a_container_that_ended_shows_with_all_only(engine: Engine) -> None:
    assert engine("run", "--name", "done", "--rootfs", "ROOTFS", "sh", "-c", "exit 3").code == 3
    assert engine.ok("ps", "-q") == ""
    assert "Exited (3)" in engine.ok("ps", "-a")
    state = engine.state("done")
    assert (state["Status"], state["ExitCode"], state["Running"], state["Pid"]) == ("exited", 3, False, 0)
    assert state["StartedAt"] < state["FinishedAt"]


def test_a_removed_container_frees_its_name(engine: Engine) -> None:
    for _ in range(3):
        assert engine("run", "--rm", "--name", "same", "--rootfs", "ROOTFS", "true").code == 0
    engine.detached("same", "true")
    result = engine("run", "--name", "same", "--rootfs", "ROOTFS", "true")
    assert result.code == 125
    assert "already in use" in result.err


def test_stop_asks_first_and_returns_when_the_end_is_recorded(engine: Engine) -> None:
    engine.detached("web", "sh", "-c", WAIT_FOR_TERM)
    wait_for_line(engine, "web", "ready")
    assert engine.ok("stop", "web") == "web\n"
    assert engine.state("web")["ExitCode"] == 5


def test_stop_kills_what_does_not_listen(engine: Engine) -> None:
    engine.detached("deaf", "sleep", "1000")  # the first process of a pid namespace ignores SIGTERM
    engine.ok("stop", "-t", "0", "deaf")
    assert engine.state("deaf")["ExitCode"] == 137
    assert engine.ok("stop", "deaf") == "deaf\n"


def test_kill_sends_the_signal_that_was_named(engine: Engine) -> None:
    engine.detached("web", "sh", "-c", "trap 'exit 6' USR1; echo ready; while :; do sleep 0.02; done")
    wait_for_line(engine, "web", "ready")
    engine.ok("kill", "-s", "USR1", "web")
    engine.ok("logs", "-f", "web")
    assert engine.state("web")["ExitCode"] == 6
    again = engine("kill", "web")
    assert again.code == 1
    assert "is not running" in again.err


def test_a_running_container_is_removed_by_force_only(engine: Engine) -> None:
    engine.detached("web", "sleep", "1000")
    refused = engine("rm", "web")
    assert refused.code == 1
    assert "running" in refused.err
    engine.ok("rm", "-f", "web")
    wait_until(lambda: engine.containers() == [], "the end of clearing away")
    assert engine("rm", "web").code == 1
    assert engine("rm", "-f", "web").code == 0


def test_a_container_that_removes_itself_can_be_removed_and_stopped(engine: Engine) -> None:
    for command in (("rm", "-f"), ("stop", "-t", "0")):
        engine.ok("run", "-d", "--rm", "--name", "web", "--rootfs", "ROOTFS", "sleep", "1000")
        assert engine.ok(*command, "web") == "web\n"
        wait_until(lambda: engine.containers() == [], "the end of clearing away")


def test_logs_are_kept_by_stream_with_times_and_the_last_can_be_asked_for(engine: Engine) -> None:
    engine("run", "--name", "talk", "--rootfs", "ROOTFS", "sh", "-c", "for i in 1 2 3; do echo $i; done; echo bad >&2")
    result = engine("logs", "talk")
    assert (result.out, result.err) == ("1\n2\n3\n", "bad\n")
    assert engine("logs", "--tail", "2", "talk").out == "3\n"
    stamped = engine("logs", "-t", "-n", "2", "talk")
    assert stamped.out.endswith("Z 3\n")
    record = engine.inspect("talk")
    with open(record["LogPath"], "rb") as file:
        first = json.loads(file.readline())
    assert (first["log"], first["stream"]) == ("1\n", "stdout")


def test_logs_can_be_followed_to_the_end(engine: Engine) -> None:
    engine.detached("talk", "sh", "-c", "for i in $(seq 1 50); do echo line $i; sleep 0.01; done")
    assert engine.ok("logs", "-f", "talk") == "".join(f"line {number}\n" for number in range(1, 51))


def test_inspect_tells_what_was_asked_for(engine: Engine) -> None:
    engine.detached("web", "-e", "A=1", "--memory", "64m", "-v", "/tmp:/host:ro", "sleep", "1000")
    about = engine.inspect("web")
    assert about["Name"] == "/web"
    assert (about["Path"], about["Args"]) == ("sleep", ["1000"])
    assert about["Config"]["Env"] == ["A=1"]
    assert about["HostConfig"]["Memory"] == 64 << 20
    assert about["Mounts"][0]["Destination"] == "/host"
    assert about["Mounts"][0]["RW"] is False
    assert about["State"]["Pid"] > 1
    assert engine.ok("inspect", "-f", "{{.State.Status}}", "web") == "running\n"
    missing = engine("inspect", "nope")
    assert (missing.code, missing.out.strip()) == (1, "[]")


def test_exec_runs_beside_the_container_s_program(engine: Engine) -> None:
    engine.detached("web", "-e", "A=1", "sleep", "1000")
    result = engine("exec", "-e", "B=2", "web", "sh", "-c", "echo $A$B; ps; echo err >&2; exit 4")
    assert result.code == 4
    assert result.out.startswith("12\n")
    assert "sleep 1000" in result.out
    assert result.err == "err\n"
    assert engine("exec", "-i", "web", "cat", given=b"typed").out == "typed"
    assert engine("exec", "-u", "user", "-w", "/tmp", "web", "sh", "-c", "id -u; pwd").out == "1000\n/tmp\n"
    assert engine("exec", "web", "nope").code == 127
    assert engine("exec", "web", "/etc/passwd").code == 126
    assert engine("exec", "nope", "true").code == 1


def test_exec_has_the_container_s_confinement_unless_it_is_privileged(engine: Engine) -> None:
    engine.detached("web", "--cap-drop", "ALL", "sleep", "1000")
    script = ("sh", "-c", "grep -E 'CapEff|Seccomp:' /proc/self/status")
    assert engine("exec", "web", *script).out.split() == ["CapEff:", "0000000000000000", "Seccomp:", "2"]
    assert int(engine("exec", "--privileged", "web", *script).out.split()[1], 16) > 0


def test_a_detached_exec_outlives_its_command(engine: Engine) -> None:
    engine.detached("web", "sh", "-c", "while [ ! -e /tmp/go-$HOSTNAME ]; do sleep 0.02; done; rm /tmp/go-$HOSTNAME")
    engine.ok("exec", "-d", "web", "sh", "-c", "sleep 0.2; touch /tmp/go-$HOSTNAME")
    engine.ok("logs", "-f", "web")
    assert engine.state("web")["ExitCode"] == 0


def test_exec_in_a_container_that_ended_is_refused(engine: Engine) -> None:
    engine("run", "--name", "done", "--rootfs", "ROOTFS", "true")
    result = engine("exec", "done", "true")
    assert result.code == 1
    assert "not running" in result.err


def test_signals_are_passed_on(engine: Engine) -> None:
    process = engine.popen("run", "--rm", "--rootfs", "ROOTFS", "sh", "-c", WAIT_FOR_TERM, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 5
    process.stdout.close()


def test_without_the_proxy_a_signal_ends_the_command_and_not_the_container(engine: Engine) -> None:
    arguments = ("run", "--name", "web", "--sig-proxy=false", "--rootfs", "ROOTFS", "sh", "-c", WAIT_FOR_TERM)
    process = engine.popen(*arguments, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == -signal.SIGTERM
    process.stdout.close()
    assert engine.state("web")["Status"] == "running"


def test_twenty_containers_start_at_once(engine: Engine) -> None:
    results: list[str] = []

    def one(number: int) -> None:
        results.append(engine.run("sh", "-c", f"echo {number}").out)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=lambda text: int(text or -1)) == [f"{number}\n" for number in range(20)]


def test_of_twenty_that_want_a_name_one_gets_it(engine: Engine) -> None:
    engine.run("true")
    engine.launcher()
    processes = [
        engine.popen("run", "-d", "--name", "one", "--rootfs", "ROOTFS", "sleep", "1000", stdout=-3, stderr=-3)
        for _ in range(20)
    ]
    codes = sorted(process.wait(timeout=60) for process in processes)
    assert codes == [0] + [125] * 19
    assert engine.names() == ["one"]


def test_a_command_that_cannot_be_had_is_126_or_127_if_anybody_waits_for_it(shared: Engine) -> None:
    shared.detached("there", "sleep", "100")
    for words, code in ((["nosuch"], 127), (["-w", "/nosuch", "true"], 126), (["-u", "nosuch", "true"], 126)):
        options, command = words[:-1], words[-1]
        assert shared("exec", *options, "there", command).code == code
        assert shared("exec", "-d", *options, "there", command).code == 1
    assert shared("exec", "nowhere", "true").code == 1
    shared.ok("rm", "-f", "there")
