"""A pseudoterminal with a command on it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
import time

import pytest

PATIENCE = 60.0


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

    def close(self) -> None:
        """End the command, if it has not ended."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)
