"""Commands in a container that are prepared, started, looked at and resized by whoever knows their ids."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from orlop.engine import container, execution
from orlop.engine.location import Location
from orlop.errors import Conflict, NotFound
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine


def location_of(engine: Engine) -> Location:
    return Location(str(engine.root), str(engine.run_root), rootless=False)


def test_a_prepared_command_is_started_once_and_its_exit_code_kept(engine: Engine) -> None:
    engine.detached("web", "sleep", "1000")
    where = location_of(engine)
    target = container.find(where, "web")
    command = execution.Command(["sh", "-c", "read x; exit $x"])
    command.open_stdin = True
    exec_id = execution.prepare(target, command, "ctrl-a")
    about = execution.inspect(where, exec_id)
    assert (about["Running"], about["ExitCode"], about["DetachKeys"], about["OpenStdin"]) == (
        False,
        None,
        "ctrl-a",
        True,
    )
    assert about["ProcessConfig"]["entrypoint"] == "sh"
    session = execution.start_prepared(where, exec_id)
    session.wait_started()
    assert wait_until(lambda: execution.inspect(where, exec_id)["Running"])
    assert engine.inspect("web")["ExecIDs"] == [exec_id]
    with pytest.raises(Conflict, match="already run"):
        execution.start_prepared(where, exec_id)
    session.send(b"i", b"7\n")
    wait_until(lambda: not execution.inspect(where, exec_id)["Running"])
    assert execution.inspect(where, exec_id)["ExitCode"] == 7
    session.socket.close()
    assert engine.inspect("web")["ExecIDs"] is None
    lines = engine.ok("events", "--since", "1h", "--until", "0s", "--format", "json").splitlines()
    events = [json.loads(line) for line in lines]
    actions = [each["Action"].split(":")[0] for each in events if "execID" in each["Actor"]["Attributes"]]
    assert actions == ["exec_create", "exec_start", "exec_die"]


def test_a_command_s_terminal_is_resized_by_anybody(engine: Engine) -> None:
    engine.detached("web", "sleep", "1000")
    where = location_of(engine)
    command = execution.Command(
        ["sh", "-c", "trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.02; done"]
    )
    command.terminal = True
    exec_id = execution.prepare(container.find(where, "web"), command)
    session = execution.start_prepared(where, exec_id, (24, 80))
    session.wait_started()
    output = b""
    while b"ready" not in output:
        frame = session.receive()
        assert frame is not None
        output += frame[1]
    wait_until(lambda: execution.inspect(where, exec_id)["Running"])
    execution.resize(where, exec_id, 31, 97)
    while (frame := session.receive()) is not None and frame[0] != b"x":
        output += frame[1]
    assert b"31 97" in output
    session.socket.close()
    wait_until(lambda: not execution.inspect(where, exec_id)["Running"])
    with pytest.raises(Conflict, match="not running"):
        execution.resize(where, exec_id, 1, 1)


def test_what_was_executed_is_forgotten_with_the_container(engine: Engine) -> None:
    engine.detached("web", "sleep", "1000")
    engine.ok("exec", "web", "true")
    assert len(os.listdir(engine.run_root / "execs" / engine.inspect("web")["Id"])) == 1
    engine.ok("rm", "-f", "web")
    assert os.listdir(engine.run_root / "execs") == []
    with pytest.raises(NotFound, match="no such exec instance"):
        execution.inspect(location_of(engine), "0" * 64)


def test_a_paused_container_executes_nothing(engine: Engine) -> None:
    engine.detached("web", "sleep", "1000")
    engine.ok("pause", "web")
    result = engine("exec", "web", "true")
    engine.ok("unpause", "web")
    assert result.code == 1
    assert "is paused" in result.err


def test_variables_come_from_files_too(engine: Engine) -> None:
    path = engine.run_root.parent / "variables"
    path.write_text("# a comment\nONE=1\nTWO=from file\n")
    engine.detached("web", "-e", "TWO=own", "sleep", "1000")
    result = engine("exec", "--env-file", str(path), "-e", "THREE=3", "web", "sh", "-c", "echo $ONE $TWO $THREE")
    assert result.out == "1 from file 3\n"


def test_a_command_whose_monitor_was_killed_is_not_said_to_run(engine: Engine) -> None:
    engine.detached("web", "sleep", "1000")
    where = location_of(engine)
    exec_id = execution.prepare(container.find(where, "web"), execution.Command(["sleep", "900"]))
    session = execution.start_prepared(where, exec_id)
    session.wait_started()
    wait_until(lambda: execution.inspect(where, exec_id)["Running"])
    (monitor,) = engine.processes("orlop-exec")
    os.kill(monitor, signal.SIGKILL)
    wait_until(lambda: not execution.inspect(where, exec_id)["Running"])
    session.socket.close()
    (engine.run_root / "control" / exec_id).unlink()  # which the engine itself does after some seconds
    assert engine.ok("exec", "web", "echo", "on") == "on\n"


def test_a_record_that_is_just_being_written_is_nobody_s_and_goes_with_its_writer(engine: Engine) -> None:
    engine.detached("web", "sleep", "1000")
    execs = engine.run_root / "execs"
    execs.mkdir(exist_ok=True)
    gone = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout.strip()
    container_id = engine.inspect("web")["Id"]
    kept, left = (execs / f".part-{container_id}-{'a' * 64}.json.{pid}" for pid in (os.getpid(), gone))
    for each in (kept, left):
        each.write_text("{")
    assert engine.ok("ps", "--quiet", "--no-trunc").split() == [container_id]
    with pytest.raises(NotFound):
        execution.inspect(location_of(engine), "a" * 64)
    assert (kept.exists(), left.exists()) == (True, False)
    kept.unlink()
