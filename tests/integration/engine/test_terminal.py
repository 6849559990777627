"""`orlop run -it` and `exec -it` on a real pseudoterminal."""

from __future__ import annotations

import os
import signal
import termios
from typing import TYPE_CHECKING

from tests.integration.engine.screen import Screen

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine


def run(engine: Engine, *arguments: str) -> list[str]:
    return engine.command("run", "--rm", "-it", "--rootfs", "ROOTFS", *arguments)


def test_keys_and_echo_are_the_container_s(shared: Engine, screen: Screen) -> None:
    screen.start(run(shared, "sh"))
    screen.expect("# ")
    screen.type("tty; echo $((6*7)); exit 9\n")
    screen.expect("/dev/pts/0")
    screen.expect("42")
    assert screen.wait() == 9


def test_interrupt_is_a_key_for_the_container_s_program(shared: Engine, screen: Screen) -> None:
    screen.start(run(shared, "sh", "-c", "trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.02; done"))
    screen.expect("ready")
    screen.type("\x03")
    screen.expect("caught")
    assert screen.wait() == 4


def test_the_container_has_the_window_s_size_from_the_start_and_follows_it(shared: Engine, screen: Screen) -> None:
    screen.resize(31, 97)
    script = "trap 'stty size; exit 3' WINCH; stty size; echo ready; while :; do sleep 0.02; done"
    screen.start(run(shared, "sh", "-c", script))
    screen.expect("31 97")
    screen.expect("ready")
    screen.resize(40, 120)
    screen.expect("40 120")
    assert screen.wait() == 3


def test_our_terminal_is_raw_meanwhile_and_as_before_after(shared: Engine, screen: Screen) -> None:
    before = termios.tcgetattr(screen.slave)
    assert screen.local_flags() & termios.ECHO
    screen.start(run(shared, "sh", "-c", "echo ready; read x; echo $x"))
    screen.expect("ready")
    assert not screen.local_flags() & (termios.ECHO | termios.ICANON | termios.ISIG)
    screen.type("done\n")
    screen.expect("done")
    assert screen.wait() == 0
    assert termios.tcgetattr(screen.slave) == before


def test_our_terminal_is_restored_when_the_program_is_not_there(shared: Engine, screen: Screen) -> None:
    before = termios.tcgetattr(screen.slave)
    screen.start(run(shared, "no-such-program"))
    assert screen.wait() == 127
    assert termios.tcgetattr(screen.slave) == before


def test_a_container_whose_terminal_is_killed_runs_on_detached(engine: Engine) -> None:
    screen = Screen()
    screen.start(
        engine.command("run", "-it", "--name", "web", "--rootfs", "ROOTFS", "sh", "-c", "echo ready; sleep 1000")
    )
    screen.expect("ready")
    assert screen.process is not None
    os.kill(screen.process.pid, signal.SIGKILL)
    screen.wait()
    os.close(screen.master)
    os.close(screen.slave)
    assert engine.state("web")["Status"] == "running"


def test_a_terminal_without_a_terminal_is_refused(shared: Engine) -> None:
    result = shared("run", "--rm", "-it", "--rootfs", "ROOTFS", "true")
    assert result.code == 1
    assert "not a TTY" in result.err


def test_a_terminal_can_be_had_for_output_alone(shared: Engine) -> None:
    assert shared.run("-t", "sh", "-c", "test -t 1 && echo yes").out == "yes\r\n"


def test_exec_has_a_terminal_of_its_own(engine: Engine, screen: Screen) -> None:
    engine.detached("web", "sleep", "1000")
    screen.resize(33, 99)
    screen.start(engine.command("exec", "-it", "web", "sh"))
    screen.expect("# ")
    screen.type("stty size; exit 3\n")
    screen.expect("33 99")
    assert screen.wait() == 3
