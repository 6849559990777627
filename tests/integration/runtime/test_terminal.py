"""``process.terminal``: who has which end of a container's terminal, and how large it is."""

from __future__ import annotations

import array
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import unique_name
from tests.integration.runtime.containers import FIRST_ID, map_ids

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Bundle, BundleMaker, Runtime


#: Says how large its terminal is, before and after it was changed.
RESIZED = "trap 'stty size; exit 7' WINCH; stty size; while :; do sleep 0.01; done"


class ConsoleSocket:
    """Listens for a terminal's master, as engines do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.master = -1
        self.text = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return  # nobody came
        with connection:
            self.text, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
            descriptors = array.array("i")
            descriptors.frombytes(ancillary[0][2])
            [self.master] = descriptors

    def take(self) -> int:
        """The master, once it has come."""
        self._thread.join(10)
        assert self.master >= 0
        return self.master

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # which ends the waiting
        self._thread.join()
        self._socket.close()
        if self.master >= 0:
            os.close(self.master)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[ConsoleSocket]:
    made = ConsoleSocket(tmp_path / "console.sock")
    yield made
    made.close()


def read_until(master: int, word: bytes) -> bytes:
    """What comes out of a terminal up to and with ``word``."""
    said = b""
    while word not in said:
        assert select.select([master], [], [], 10)[0], said
        try:
            data = os.read(master, 4096)
        except OSError:  # EIO: all have closed the other end
            data = b""
        assert data, said
        said += data
    return said


def with_terminal(bundle: Bundle) -> Bundle:
    bundle.process["terminal"] = True
    bundle.write()
    return bundle


def test_the_master_comes_over_the_console_socket(
    runtime: Runtime, bundle: BundleMaker, console: ConsoleSocket
) -> None:
    made = with_terminal(bundle("sh", "-c", "tty; test -t 0 -a -t 1 -a -t 2 && echo all; read x; echo got $x"))
    name = unique_name()
    runtime("create", "--bundle", str(made.path), "--console-socket", str(console.path), name)
    master = console.take()
    runtime("start", name)
    assert b"/dev/pts/0" in read_until(master, b"all")
    os.write(master, b"input\n")
    read_until(master, b"got input")


def test_the_terminal_is_the_sessions_own_and_the_console(
    runtime: Runtime, bundle: BundleMaker, console: ConsoleSocket
) -> None:
    script = (
        "echo via-tty > /dev/tty; stat -c %t:%T /dev/console; echo via-console > /dev/console; stty -echo; echo end"
    )
    made = with_terminal(bundle("sh", "-c", script))
    runtime("run", "-d", "--bundle", str(made.path), "--console-socket", str(console.path), unique_name())
    said = read_until(console.take(), b"end")
    assert b"via-tty" in said
    assert b"88:0" in said  # of a pseudoterminal's slave
    assert b"via-console" in said


def test_the_terminal_has_the_configured_size(runtime: Runtime, bundle: BundleMaker, console: ConsoleSocket) -> None:
    made = bundle("sh", "-c", "stty size; sleep 100", consoleSize={"height": 33, "width": 101})
    with_terminal(made)
    runtime("run", "-d", "--bundle", str(made.path), "--console-socket", str(console.path), unique_name())
    master = console.take()
    read_until(master, b"33 101")
    assert struct.unpack("HHHH", fcntl.ioctl(master, termios.TIOCGWINSZ, bytes(8)))[:2] == (33, 101)


def test_the_terminal_belongs_to_the_user(runtime: Runtime, bundle: BundleMaker, console: ConsoleSocket) -> None:
    made = bundle("sh", "-c", "stat -c %u $(tty); echo x > $(tty) && echo end", user={"uid": 1000, "gid": 1000})
    with_terminal(made)
    runtime("run", "-d", "--bundle", str(made.path), "--console-socket", str(console.path), unique_name())
    assert read_until(console.take(), b"end").split()[0] == b"1000"


def test_a_terminal_in_a_user_namespace(runtime: Runtime, bundle: BundleMaker, console: ConsoleSocket) -> None:
    made = bundle("sh", "-c", "stat -c %u $(tty); echo x > /dev/tty && echo end", user={"uid": 1000, "gid": 1000})
    map_ids(made)
    with_terminal(made)
    runtime("run", "-d", "--bundle", str(made.path), "--console-socket", str(console.path), unique_name())
    master = console.take()
    assert read_until(master, b"end").split()[0] == b"1000"
    assert FIRST_ID


def test_exec_gets_a_terminal_of_its_own(runtime: Runtime, bundle: BundleMaker, console: ConsoleSocket) -> None:
    name = runtime.start(bundle("sleep", "100"))
    process = ["sh", "-c", "tty; read x; echo got $x"]
    runtime("exec", "-d", "-t", "--console-socket", str(console.path), name, *process)
    master = console.take()
    read_until(master, b"/dev/pts/0")
    os.write(master, b"input\n")
    read_until(master, b"got input")


def test_run_in_the_foreground_passes_the_terminal_through(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_terminal(bundle("sh", "-c", RESIZED))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 99, 0, 0))
    before = termios.tcgetattr(slave)
    command = runtime.command("run", "--bundle", str(made.path), unique_name())
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as process:
        try:
            read_until(master, b"44 99")
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 55, 88, 0, 0))
            process.send_signal(signal.SIGWINCH)
            read_until(master, b"55 88")
            assert process.wait(10) == 7
        finally:
            process.kill()
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


# what is refused


def test_a_detached_terminal_needs_a_console_socket(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_terminal(bundle("true"))
    for verb in (["create"], ["run", "--detach"]):
        result = runtime.call(*verb, "--bundle", str(made.path), unique_name())
        assert result.status == 1
        assert "cannot allocate a terminal without --console-socket" in result.errors
    assert runtime("list", "-q").output == ""


def test_a_console_socket_needs_a_terminal(runtime: Runtime, bundle: BundleMaker, console: ConsoleSocket) -> None:
    made = bundle("true")
    result = runtime.call("create", "--bundle", str(made.path), "--console-socket", str(console.path), unique_name())
    assert result.status == 1
    assert "--console-socket is for a process with a terminal" in result.errors


def test_a_console_socket_that_nobody_listens_on_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_terminal(bundle("true"))
    where = str(made.path / "nobody")
    result = runtime.call("create", "--bundle", str(made.path), "--console-socket", where, unique_name())
    assert result.status == 1
    assert f"send terminal to {where}: no such file or directory" in result.errors
    assert runtime("list", "-q").output == ""


def test_a_terminal_needs_a_devpts(runtime: Runtime, bundle: BundleMaker, console: ConsoleSocket) -> None:
    made = bundle("true")
    made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] != "/dev/pts"]
    with_terminal(made)
    result = runtime.call("create", "--bundle", str(made.path), "--console-socket", str(console.path), unique_name())
    assert result.status == 1
    assert "a terminal needs a devpts mount there" in result.errors
