"""Several terminals on one container, and those who wait for its end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.engine import container, control
from orlop.engine.location import Location
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from typing import IO

    from tests.integration.engine.conftest import Engine
    from tests.integration.engine.screen import Screen

ECHO = "while read line; do echo got $line; [ $line = end ] && exit 4; done; echo closed; sleep 1000"


def attached(engine: Engine, name: str, *options: str) -> subprocess.Popen[bytes]:
    """A client on a container."""
    return engine.popen("attach", *options, name, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def stream(found: IO[bytes] | None) -> IO[bytes]:
    assert found is not None
    return found


def say(client: subprocess.Popen[bytes], text: str) -> None:
    stream(client.stdin).write(text.encode())
    stream(client.stdin).flush()


def line_of(client: subprocess.Popen[bytes]) -> str:
    return stream(client.stdout).readline().decode().strip()


def connections(container_id: str) -> int:
    """How many are connected to a container's monitor at its control socket."""
    sockets = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return sum(words[-1].endswith(f"/{container_id}") for words in sockets) - 1


def finish(client: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """How a client ended, and the last that it printed."""
    out, _ = client.communicate(timeout=60)
    return client.returncode, out


def until_it_listens(*clients: subprocess.Popen[bytes]) -> None:
    """Wait until everybody gets what is said."""
    for number, client in enumerate(clients):
        say(client, f"here{number}\n")
        for each in clients[: number + 1]:
            while line_of(each) != f"got here{number}":
                pass


def test_two_clients_see_the_same_and_each_can_type(engine: Engine) -> None:
    engine.detached("web", "-i", "sh", "-c", ECHO)
    one, two = attached(engine, "web"), attached(engine, "web")
    until_it_listens(one, two)
    say(one, "first\n")
    assert (line_of(one), line_of(two)) == ("got first", "got first")
    say(two, "end\n")
    assert (line_of(one), line_of(two)) == ("got end", "got end")
    assert (finish(one)[0], finish(two)[0]) == (4, 4)


def test_a_client_that_is_killed_takes_nobody_along(engine: Engine) -> None:
    engine.detached("web", "-i", "sh", "-c", ECHO)
    one, two = attached(engine, "web"), attached(engine, "web")
    until_it_listens(one, two)
    one.kill()
    finish(one)
    say(two, "on\n")
    assert line_of(two) == "got on"
    say(two, "end\n")
    assert finish(two) == (4, b"got end\n")


def test_input_stays_open_for_the_next_unless_it_was_a_foreground_container_s(engine: Engine) -> None:
    engine.detached("web", "-i", "sh", "-c", ECHO)
    one = attached(engine, "web")
    until_it_listens(one)
    stream(one.stdin).close()
    two = attached(engine, "web")
    until_it_listens(two)
    say(two, "end\n")
    assert two.wait(timeout=60) == one.wait(timeout=60) == 4
    for client in (one, two):
        stream(client.stdout).close()
        stream(client.stderr).close()
    stream(two.stdin).close()
    foreground = engine("run", "-i", "--rm", "--rootfs", "ROOTFS", "cat", given=b"typed")
    assert (foreground.code, foreground.out) == (0, "typed")


def test_the_input_of_what_nobody_started_as_its_terminal_waits_for_the_first_who_attaches(engine: Engine) -> None:
    engine.ok("create", "-i", "--name", "web", "--rootfs", "ROOTFS", "sh", "-c", "read line; echo got $line")
    engine.ok("start", "web")
    client = attached(engine, "web")
    say(client, "it\n")
    assert finish(client)[1] == b"got it\n"
    engine.ok("start", "web")
    engine.ok("restart", "-t", "0", "web")
    assert engine.state("web")["Running"]


def test_without_its_input_a_client_only_looks_on(engine: Engine) -> None:
    container_id = engine.detached("web", "-i", "sh", "-c", ECHO)
    one, two = attached(engine, "web"), attached(engine, "web", "--no-stdin")
    wait_until(lambda: connections(container_id) == 2, "both connections")
    until_it_listens(one)
    say(two, "ignored\n")
    say(one, "end\n")
    assert line_of(one) == "got end"
    assert finish(one)[0] == 4
    code, out = finish(two)
    assert code == 4
    assert b"ignored" not in out


def test_signals_of_a_client_reach_the_program_past_its_input(engine: Engine) -> None:
    script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done"
    container_id = engine.detached("web", "-i", "sh", "-c", script)
    client = attached(engine, "web")
    stream(client.stdin).write(b"x" * (1 << 16))  # which nobody reads
    wait_until(lambda: connections(container_id) == 1, "the client's connection")
    wait_until(lambda: engine.ok("logs", "web") == "ready\n")
    client.send_signal(signal.SIGTERM)
    assert finish(client)[0] == 7


def test_who_cannot_be_attached_to_is_told_why(engine: Engine) -> None:
    engine("run", "--name", "done", "--rootfs", "ROOTFS", "true")
    result = engine("attach", "done")
    assert result.code == 1
    assert "not running" in result.err
    engine.detached("still", "sleep", "1000")
    engine.ok("pause", "still")
    result = engine("attach", "still")
    engine.ok("unpause", "still")
    assert result.code == 1
    assert "paused" in result.err


def test_a_monitor_that_is_killed_ends_its_clients(engine: Engine) -> None:
    container_id = engine.detached("web", "-i", "sh", "-c", ECHO)
    client = attached(engine, "web")
    until_it_listens(client)
    os.kill(engine.monitor(container_id), signal.SIGKILL)
    _, errors = client.communicate(timeout=60)
    assert client.returncode == 1
    assert b"monitor of container" in errors
    assert engine.state("web")["Status"] == "exited"


def test_a_flood_of_output_does_not_wait_for_a_client_that_stands_still(engine: Engine) -> None:
    script = "read go; i=0; while [ $i -lt 60 ]; do cat /big; i=$((i+1)); done; exit 9"
    container_id = engine.detached(
        "web", "-i", "-v", f"{_big_file(engine)}:/big:ro", "--log-opt", "max-size=1m", "sh", "-c", script
    )
    client = attached(engine, "web")
    client.send_signal(signal.SIGSTOP)
    monitor = engine.monitor(container_id)
    before = _private_memory(monitor)
    other = attached(engine, "web")
    peak = 0
    wait_until(lambda: engine.state("web")["Status"] == "running")
    say(other, "go\n")
    out = stream(other.stdout)
    while out.read(1 << 16):
        try:
            peak = max(peak, _private_memory(monitor))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended; what it said last is still to be read
    assert other.wait(timeout=60) == 9
    assert engine.state("web")["ExitCode"] == 9  # while the first client still stands still
    assert peak - before < 8 << 20
    client.send_signal(signal.SIGCONT)
    client.communicate(timeout=60)
    assert client.returncode in (9, 1)
    for each in (other.stdin, other.stdout, other.stderr):
        stream(each).close()


def _big_file(engine: Engine) -> str:
    path = engine.run_root.parent / "big"
    path.write_bytes(b"a line of some length, as programs write them when they have a lot to say\n" * 7000)
    return str(path)


def _private_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


def test_wait_tells_the_exit_code_of_each(engine: Engine) -> None:
    engine.detached("one", "sh", "-c", "while [ ! -e /tmp/go-$HOSTNAME ]; do sleep 0.02; done; exit 3")
    engine("run", "--name", "two", "--rootfs", "ROOTFS", "sh", "-c", "exit 5")
    waiter = engine.popen("wait", "one", "two", stdout=subprocess.PIPE)
    engine.ok("exec", "one", "sh", "-c", "touch /tmp/go-$HOSTNAME")
    assert finish(waiter) == (0, b"3\n5\n")
    assert engine("wait", "nobody").code == 1
    (Path(engine.rootfs) / f"tmp/go-{engine.inspect('one')['Config']['Hostname']}").unlink()


def test_wait_knows_how_a_container_ended_that_removed_itself(engine: Engine) -> None:
    engine.ok("run", "-d", "--rm", "--name", "web", "--rootfs", "ROOTFS", "sleep", "1000")
    waiter = engine.popen("wait", "web", stdout=subprocess.PIPE)
    identity = engine.inspect("web")["Id"]
    wait_until(lambda: connections(identity) == 1, "the waiter's connection")
    engine.ok("kill", "web")
    assert finish(waiter) == (0, b"137\n")


@pytest.mark.parametrize("condition", control.CONDITIONS)
def test_each_condition_is_waited_for(engine: Engine, condition: str) -> None:
    container_id = engine.detached("web", "sleep", "1000")
    target = container.find(Location(str(engine.root), str(engine.run_root), rootless=False), "web")
    codes: list[int] = []
    waiter = threading.Thread(target=lambda: codes.append(control.wait(target, condition)))
    waiter.start()
    wait_until(lambda: connections(container_id) == 1, "the waiter's connection")
    engine.ok("kill", "web")
    if condition == control.REMOVED:
        wait_until(lambda: engine.state("web")["Status"] == "exited")
        assert codes == []
        engine.ok("rm", "web")
    waiter.join(timeout=60)
    assert codes == [137]


def test_the_next_end_may_be_of_a_life_that_has_not_begun(engine: Engine) -> None:
    engine("run", "--name", "web", "--rootfs", "ROOTFS", "sh", "-c", "exit 3")
    target = container.find(Location(str(engine.root), str(engine.run_root), rootless=False), "web")
    assert control.wait(target) == 3
    codes: list[int] = []
    waiter = threading.Thread(target=lambda: codes.append(control.wait(target, control.NEXT_EXIT)))
    waiter.start()
    engine.ok("start", "web")
    waiter.join(timeout=60)
    assert codes == [3]


@pytest.mark.parametrize("condition", [control.NEXT_EXIT, control.REMOVED])
def test_a_whole_life_that_passes_between_two_looks_is_known_of(engine: Engine, condition: str) -> None:
    engine.ok("create", "--rm", "--name", "web", "--rootfs", "ROOTFS", "sh", "-c", "exit 3")
    target = container.find(Location(str(engine.root), str(engine.run_root), rootless=False), "web")
    steps = control.waiting(target, condition)
    next(steps)
    assert engine("start", "-a", "web").code == 3
    wait_until(lambda: engine.names() == [], "the end of the container")
    with pytest.raises(StopIteration) as done:
        next(steps)
    assert done.value.value == 3


def test_a_terminal_is_left_by_keys_and_come_back_to(engine: Engine, screen: Screen) -> None:
    screen.start(engine.command("run", "-it", "--name", "web", "--rootfs", "ROOTFS", "sh"))
    screen.expect("# ")
    screen.type("echo $((6*7))\n")
    screen.expect("42")
    screen.type("\x10\x11")
    screen.expect("read escape sequence")
    assert screen.wait() == 0
    assert engine.state("web")["Status"] == "running"
    screen.start(engine.command("attach", "--detach-keys", "ctrl-a,x", "web"))
    screen.type("echo $((6*8))\n")
    screen.expect("48")
    screen.type("\x10\x11\x15")  # no longer the keys: the shell brings an earlier line back, and clears it
    screen.type("\x01x")
    assert screen.wait() == 0
    screen.start(engine.command("attach", "web"))
    screen.type("exit 6\n")
    assert screen.wait() == 6


def test_an_exec_is_left_by_keys_and_goes_on(engine: Engine, screen: Screen) -> None:
    engine.detached("web", "sleep", "1000")
    screen.start(engine.command("exec", "-it", "web", "sh", "-c", "echo ready; sleep 987"))
    screen.expect("ready")
    screen.type("\x10\x11")
    assert screen.wait() == 0
    assert "sleep 987" in engine.ok("exec", "web", "ps")


def test_keys_that_are_none_are_refused(engine: Engine, screen: Screen) -> None:
    screen.start(engine.command("run", "-it", "--detach-keys", "ctrl-1", "--rootfs", "ROOTFS", "true"))
    screen.expect('invalid detach keys "ctrl-1"')
    assert screen.wait() == 125


def test_orphans_of_a_container_with_the_host_s_process_ids_are_waited_for(engine: Engine) -> None:
    container_id = engine.detached(
        "web", "--pid", "host", "sh", "-c", "(sleep 0.01 &); (sleep 0.01 &); echo done; sleep 1000; true"
    )
    monitor = engine.monitor(container_id)
    wait_until(lambda: engine.ok("logs", "web") == "done\n")

    def names() -> list[str]:
        children = Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()
        return [Path(f"/proc/{each}/comm").read_text().strip() for each in children]

    wait_until(lambda: "sleep" not in names(), "the end of the orphans")
    engine.ok("stop", "-t", "0", "web")
