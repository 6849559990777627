"""Restart policies: how often, how fast, and until when."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from typing import Any

    from tests.integration.engine.conftest import Engine


def started(engine: Engine, name: str) -> list[dict[str, Any]]:
    """The times at which a container was started and died, in their order."""
    import json

    lines = engine.ok("events", "--since", "1h", "--until", "0s", "--filter", f"container={name}", "--format", "json")
    events = [json.loads(line) for line in lines.splitlines()]
    return [each for each in events if each["Action"] in ("start", "die")]


def test_a_container_that_fails_is_started_as_often_as_was_said_and_ever_later(engine: Engine) -> None:
    engine.detached("web", "--restart", "on-failure:3", "sh", "-c", "echo again; exit 4")
    wait_until(lambda: engine.state("web")["Status"] == "exited")
    assert engine.state("web")["ExitCode"] == 4
    assert engine.inspect("web")["RestartCount"] == 3
    assert engine.ok("logs", "web") == "again\n" * 4
    events = started(engine, "web")
    assert [each["Action"] for each in events] == ["start", "die"] * 4
    pauses = [(events[at + 1]["timeNano"] - events[at]["timeNano"]) / 1e9 for at in (1, 3, 5)]
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True))


def test_a_success_is_not_a_failure(engine: Engine) -> None:
    engine.detached("web", "--restart", "on-failure", "true")
    engine.ok("wait", "web")
    wait_until(lambda: engine.state("web")["Status"] == "exited")
    assert engine.inspect("web")["RestartCount"] == 0


def test_stop_ends_a_container_also_between_two_starts(engine: Engine) -> None:
    engine.detached("web", "--restart", "always", "false")
    wait_until(lambda: engine.state("web")["Status"] == "restarting")
    wait_until(lambda: engine.inspect("web")["RestartCount"] >= 3)
    assert "Restarting (1)" in engine.ok("ps")
    assert engine.ok("stop", "web") == "web\n"
    state = engine.state("web")
    assert (state["Status"], state["Running"], state["Restarting"], state["ExitCode"]) == ("exited", False, False, 1)
    count = engine.inspect("web")["RestartCount"]
    assert engine.inspect("web")["RestartCount"] == count


@pytest.mark.parametrize("verb", [("stop", "-t", "0"), ("kill",)])
def test_what_a_user_ends_stays_ended(engine: Engine, verb: tuple[str, ...]) -> None:
    engine.detached("web", "--restart", "always", "sleep", "1000")
    engine.ok(*verb, "web")
    wait_until(lambda: engine.state("web")["Status"] == "exited")
    assert engine.inspect("web")["RestartCount"] == 0


def test_what_ends_by_another_signal_is_started_again(engine: Engine) -> None:
    engine.detached(
        "web", "--restart", "always", "sh", "-c", "trap 'exit 0' USR1; echo ready; while :; do sleep 0.02; done"
    )
    wait_until(lambda: engine.ok("logs", "web") == "ready\n")
    engine.ok("kill", "-s", "USR1", "web")
    wait_until(lambda: engine.ok("logs", "web") == "ready\nready\n")
    assert engine.inspect("web")["RestartCount"] == 1


def test_remove_by_force_ends_a_restarting_container(engine: Engine) -> None:
    engine.detached("web", "--restart", "always", "false")
    wait_until(lambda: engine.state("web")["Status"] == "restarting")
    assert engine("rm", "web").code == 1
    engine.ok("rm", "-f", "web")
    assert engine.names() == []


def test_clients_hear_of_the_first_end(engine: Engine) -> None:
    result = engine(
        "run", "--name", "web", "--restart", "always", "--rootfs", "ROOTFS", "sh", "-c", "echo once; exit 3"
    )
    assert (result.code, result.out) == (3, "once\n")
    wait_until(lambda: engine.inspect("web")["RestartCount"] >= 2)
    waiter = engine.popen("wait", "web", stdout=subprocess.PIPE)
    assert waiter.communicate(timeout=60)[0] == b"3\n"


def test_a_container_whose_monitor_was_killed_comes_back_with_the_next_command(engine: Engine) -> None:
    container_id = engine.detached("web", "--restart", "unless-stopped", "sleep", "1000")
    first = engine.state("web")
    os.kill(engine.monitor(container_id), signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{first['Pid']}") or engine.ok("ps"))
    second = wait_until(lambda: engine.state("web") if engine.state("web")["Status"] == "running" else None)
    assert second["Pid"] != first["Pid"]
    assert dt.datetime.fromisoformat(second["StartedAt"][:26]) > dt.datetime.fromisoformat(first["StartedAt"][:26])
    assert engine.inspect("web")["RestartCount"] == 1
    engine.ok("stop", "-t", "0", "web")
    assert engine.state("web")["Status"] == "exited"


def test_a_program_that_is_gone_ends_the_attempts(engine: Engine) -> None:
    script = "[ -e /tmp/gone-$HOSTNAME ] || { cp /bin/busybox /tmp/mine-$HOSTNAME; }; rm /tmp/mine-$HOSTNAME; exit 1"
    engine.detached("web", "--restart", "on-failure:1", "sh", "-c", script)
    wait_until(lambda: engine.state("web")["Status"] == "exited")
    assert engine.state("web")["ExitCode"] == 1


@pytest.mark.parametrize("policy", ["sometimes", "always:3", "on-failure:x"])
def test_a_policy_that_is_none_is_refused(engine: Engine, policy: str) -> None:
    result = engine("run", "--restart", policy, "--rootfs", "ROOTFS", "true")
    assert result.code == 125
    assert f'invalid value "{policy}" for --restart' in result.err


def test_a_policy_and_rm_contradict_each_other(engine: Engine) -> None:
    result = engine("run", "--rm", "--restart", "always", "--rootfs", "ROOTFS", "true")
    assert result.code == 125
    assert "cannot specify both --restart and --rm" in result.err


def test_a_container_between_two_starts_can_be_killed(engine: Engine) -> None:
    engine.detached("web", "--restart", "always", "false")
    wait_until(lambda: engine.inspect("web")["RestartCount"] >= 3 and engine.state("web")["Status"] == "restarting")
    assert engine.ok("kill", "web") == "web\n"
    wait_until(lambda: engine.state("web")["Status"] == "exited")


def test_the_policy_can_be_changed_while_a_container_runs(engine: Engine) -> None:
    script = "[ -e /tmp/x-$HOSTNAME ] && exec sleep 1000; touch /tmp/x-$HOSTNAME; read go; exit 3"
    engine.detached("web", "-i", "sh", "-c", script)
    engine.ok("update", "--restart", "on-failure:2", "web")
    engine("attach", "web", given=b"go\n")
    wait_until(lambda: engine.inspect("web")["RestartCount"] == 1)
    wait_until(lambda: engine.state("web")["Status"] == "running")
    engine.ok("update", "--restart", "no", "web")
    hostname = engine.inspect("web")["Config"]["Hostname"]
    engine.ok("exec", "web", "rm", f"/tmp/x-{hostname}")
    os.kill(engine.state("web")["Pid"], signal.SIGKILL)
    wait_until(lambda: engine.state("web")["Status"] == "exited")


def test_a_monitor_that_is_killed_between_two_starts_is_replaced(engine: Engine) -> None:
    container_id = engine.detached("web", "--restart", "always", "sh", "-c", "echo again; exit 1")
    wait_until(lambda: engine.inspect("web")["RestartCount"] >= 4 and engine.state("web")["Status"] == "restarting")
    os.kill(engine.monitor(container_id), signal.SIGKILL)
    count = wait_until(lambda: engine.inspect("web")["RestartCount"] if engine.ok("ps", "-q") else 0)
    wait_until(lambda: engine.inspect("web")["RestartCount"] > count)
    assert engine.ok("stop", "web") == "web\n"
    assert engine.state("web")["Status"] == "exited"
