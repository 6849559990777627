"""`orlop run -it` and `exec -it` on a real pseudoterminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine

PATIENCE = 20.0


class Screen:
    """A terminal with a command on it."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.text = b""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str]) -> None:
        """Run a command with this as its controlling terminal."""
        self.process = subprocess.Popen(
            command, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - the tests have one thread
        )  # fmt: skip

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size, as a terminal program does."""
        termios.tcsetwinsize(self.slave, (rows, columns))

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.master, text.encode())

    def expect(self, text: str) -> None:
        """Wait for text to show; what came before it is forgotten."""
        end = time.monotonic() + PATIENCE
        while text.encode() not in self.text:
            if not select.select([self.master], [], [], max(0.0, end - time.monotonic()))[0]:
                pytest.fail(f"{text!r} did not show; there is {self.text!r}")
            self.text += os.read(self.master, 65536)
        self.text = self.text.partition(text.encode())[2]

    def wait(self) -> int:
        """Wait for the command's end."""
        assert self.process is not None
        return self.process.wait(timeout=PATIENCE)

    def local_flags(self) -> int:
        """The terminal's local modes."""
        return int(termios.tcgetattr(self.slave)[3])


@pytest.fixture
def screen() -> Iterator[Screen]:
    """A terminal of 24 rows and 80 columns."""
    made = Screen()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    os.close(made.master)
    os.close(made.slave)


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
    assert result.code == 125
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
