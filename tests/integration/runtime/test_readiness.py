"""sd_notify(3) from inside: NOTIFY_SOCKET of the runtime's caller, and what of a container's words reaches it."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import unique_name
from tests.integration.runtime.containers import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Bundle, BundleMaker, Runtime


class Manager:
    """What systemd is to a service: listens at NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.environment = {**os.environ, "NOTIFY_SOCKET": str(path)}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(10)

    def hear(self) -> bytes:
        """The next message; descriptors that come with it are closed, which answers a barrier."""
        message, descriptors, _, _ = socket.recv_fds(self._socket, 4096, 4)
        for each in descriptors:
            os.close(each)
        return message

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "manager")
    yield made
    made.close()


def say(pid: int, *messages: bytes) -> None:
    """What the container's program would send to its own NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
        speaker.connect(f"/proc/{pid}/root/run/notify/notify.sock")
        for each in messages:
            speaker.send(each)


def started_by(runtime: Runtime, bundle: Bundle, manager: Manager, how: str) -> tuple[subprocess.Popen[bytes], str]:
    """A command that starts a container and waits to hear from it, and the container's id."""
    name = unique_name()
    if how == "start":
        runtime("create", "--bundle", str(bundle.path), name, env=manager.environment)
        words = ["start", name]
    else:
        words = ["run", *([how] if how else []), "--bundle", str(bundle.path), name]
    command = subprocess.Popen(runtime.command(*words), env=manager.environment, stdin=subprocess.DEVNULL)

    def runs() -> bool:
        result = runtime.call("state", name)
        return result.status == 0 and result.json()["status"] == "running"

    until(runs)
    return command, name


@pytest.mark.parametrize("how", ["start", "--detach", ""])
def test_only_the_word_that_it_is_ready_is_passed_on(
    how: str, runtime: Runtime, bundle: BundleMaker, manager: Manager
) -> None:
    command, name = started_by(runtime, bundle("sleep", "1000"), manager, how)
    pid = runtime.state(name)["pid"]
    say(pid, b"STATUS=loading\nMAINPID=1", b"READY=1\nMAINPID=1")
    assert [manager.hear() for _ in range(3)] == [b"READY=1\n", f"MAINPID={pid}\n".encode(), b"BARRIER=1"]
    if not how:
        runtime("kill", name, "KILL")
    assert command.wait(10) == (0 if how else 137)


def test_a_program_that_ends_without_the_word_is_not_waited_for(
    runtime: Runtime, bundle: BundleMaker, manager: Manager
) -> None:
    command, name = started_by(runtime, bundle("sleep", "1000"), manager, "--detach")
    assert command.poll() is None
    runtime("kill", name, "KILL")
    assert command.wait(10) == 0


def test_the_container_sees_a_socket_of_its_own_and_cannot_change_where_it_lies(
    runtime: Runtime, bundle: BundleMaker, manager: Manager
) -> None:
    script = "echo $NOTIFY_SOCKET; stat -c '%n %a' /run/notify/*; touch /run/notify/x 2>/dev/null || echo no"
    result = runtime("run", "--bundle", str(bundle("sh", "-c", script).path), unique_name(), env=manager.environment)
    assert result.output.splitlines() == ["/run/notify/notify.sock", "/run/notify/notify.sock 777", "no"]
    assert os.listdir(runtime.root) == []


def test_who_does_not_listen_at_notify_socket_is_an_error(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    environment = {**os.environ, "NOTIFY_SOCKET": "/nonexistent"}
    result = runtime.call("run", "--bundle", str(made.path), unique_name(), env=environment)
    assert result.status == 1
    assert "connect to NOTIFY_SOCKET /nonexistent: no such file or directory" in result.errors
    assert os.listdir(runtime.root) == []
