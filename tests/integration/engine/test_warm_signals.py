"""Signals and terminals of a command that a child of the launcher carries out are those of its caller."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.warm_engine import (
    COLD,
    NEEDS_CLIENT,
    busy_one,
    follow,
    own,
    read_until,
    state,
    warm,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.engine.warm_engine import (
        WarmEngine,
    )

__all__ = ["own", "warm"]

pytestmark = NEEDS_CLIENT


def test_a_signal_goes_on_to_the_container(warm: WarmEngine) -> None:
    script = "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.1; done"
    process = warm.popen("run", "--rm", "--rootfs", "ROOTFS", "sh", "-c", script, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (5, b"got\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_a_signal_ends_a_command_as_it_ends_an_interpreter(warm: WarmEngine, number: signal.Signals) -> None:
    process = follow(warm)
    process.send_signal(number)
    assert process.wait(timeout=60) == (130 if number == signal.SIGINT else -number)
    process.stdout.close()  # type: ignore[union-attr]
    wait_until(lambda: not warm.busy(), "the end of who carried it out")


def test_ignored_signals_stay_ignored(warm: WarmEngine) -> None:
    warm.prefix = ("nohup",)
    try:
        process = follow(warm, stdin=subprocess.DEVNULL)
    finally:
        warm.prefix = ()
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == -signal.SIGTERM
    process.stdout.close()  # type: ignore[union-attr]


def test_a_stopped_job_is_stopped_where_it_is_carried_out(warm: WarmEngine) -> None:
    process = follow(warm, process_group=0)
    worker = busy_one(warm)
    process.send_signal(signal.SIGTSTP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert os.WSTOPSIG(status) == signal.SIGTSTP
    wait_until(lambda: state(worker) == "T", "the worker being stopped")
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: state(worker) != "T", "the worker going on")
    process.terminate()
    assert process.wait(timeout=60) == -signal.SIGTERM
    process.stdout.close()  # type: ignore[union-attr]


class OnTerminal:
    """A command that has a terminal of its own as its controlling one and as its standard streams."""

    def __init__(self, command: list[str], attributes: Callable[[int], None] = lambda _: None) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            attributes(1)
            os.execvp(command[0], command)

    def finish(self) -> tuple[int, bytes]:
        """Its status and all that it printed."""
        output = b""
        while True:
            assert select.select([self.terminal], [], [], 60)[0]
            try:
                data = os.read(self.terminal, 4096)
            except OSError:  # EIO: nobody has it open any more
                break
            if not data:
                break
            output += data
        _, status = os.waitpid(self.pid, 0)
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(status), output


def test_on_a_terminal_a_command_that_reads_nothing_is_served(warm: WarmEngine) -> None:
    command = warm.command("run", "--rm", "--rootfs", "ROOTFS", "sh", "-c", "echo seen; exit 6")
    assert OnTerminal(command).finish() == (6, b"seen\r\n")


@pytest.mark.parametrize("options", [["-i"], ["-t"], ["-it"]])
def test_who_reads_from_a_terminal_is_a_job_of_its_shell(warm: WarmEngine, options: list[str]) -> None:
    command = warm.command("run", "--rm", *options, "--rootfs", "ROOTFS", "true")
    assert OnTerminal(command).finish() == (COLD, b"")
    assert OnTerminal(warm.command("exec", *options, "box", "true")).finish() == (COLD, b"")


def test_who_may_not_write_in_the_background_is_a_job_of_its_shell(warm: WarmEngine) -> None:
    def stop_writers(descriptor: int) -> None:
        mode = termios.tcgetattr(descriptor)
        mode[3] |= termios.TOSTOP
        termios.tcsetattr(descriptor, termios.TCSANOW, mode)

    assert OnTerminal(warm.command("ps"), stop_writers).finish()[0] == COLD


def test_a_keyboard_interrupt_reaches_the_command(warm: WarmEngine) -> None:
    on_terminal = OnTerminal(warm.command("logs", "-f", "box"))
    read_until(on_terminal.terminal, b"up\r\n")
    os.write(on_terminal.terminal, b"\x03")
    assert on_terminal.finish()[0] == 130
