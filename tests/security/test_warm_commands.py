"""Commands that the launcher carries out: nobody is served, or served by, somebody who is not the very same user."""

from __future__ import annotations

import array
import os
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import rootfs, wait_until
from tests.integration.engine.warm_engine import CLIENT, COLD, NEEDS_CLIENT, SOCKET, WarmEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["rootfs"]

pytestmark = NEEDS_CLIENT

NOBODY = 65534

#: Listens at the path given as another user, and prints what whoever connects sends.
LISTENER = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
listener.listen()
print("ready", flush=True)
connection, _ = listener.accept()
data, ancillary, _, _ = connection.recvmsg(1 << 18, 4096)
print(len(data), len(ancillary), flush=True)
"""


@pytest.fixture
def warm(tmp_path: Path, rootfs: Path) -> Iterator[WarmEngine]:
    made = WarmEngine(tmp_path, rootfs)
    made.warm_up()
    yield made
    made.close()


def request(words: list[str], variables: list[str]) -> bytes:
    counts = len(words).to_bytes(4, sys.byteorder) + len(variables).to_bytes(4, sys.byteorder)
    return counts + b"".join(os.fsencode(each) + b"\0" for each in (*words, *variables))


def ask(warm: WarmEngine, data: bytes, process: str = "/proc/self", count: int = 5, door: str = SOCKET) -> bytes:
    """What a caller is told that sends such a request; nothing if it is not served."""
    descriptors = [os.open(path, os.O_PATH) for path in ("/dev/null", "/dev/null", "/dev/null", process, "/")]
    for number in range(3):
        os.close(descriptors[number])
        descriptors[number] = os.open("/dev/null", os.O_RDWR)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(str(warm.run_root / door))
            rights = array.array("i", descriptors[:count])
            try:
                connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if count else [])
                assert select.select([connection], [], [], 20)[0]
                return connection.recv(5)
            except (BrokenPipeError, ConnectionResetError):
                return b""  # it was not even read
    finally:
        for each in descriptors:
            os.close(each)


def own_request(warm: WarmEngine, *words: str) -> bytes:
    variables = [f"ORLOP_ROOT={warm.root}", f"ORLOP_RUN_ROOT={warm.run_root}"]
    return request([str(warm.bin / "python3"), "-IS", warm.program, *words], variables)


def test_a_request_like_the_client_s_is_served(warm: WarmEngine) -> None:
    """So that the tests below are refused for what they change."""
    assert ask(warm, own_request(warm, "ps"))[:1] == b"b"


def test_somebody_else_s_socket_is_told_nothing(warm: WarmEngine, open_directory: Path) -> None:
    open_directory.chmod(0o777)
    path = open_directory / SOCKET
    listener = subprocess.Popen([sys.executable, "-c", LISTENER, path], stdout=subprocess.PIPE, text=True)
    assert listener.stdout is not None
    assert listener.stdout.readline() == "ready\n"
    command = ["env", f"ORLOP_RUN_ROOT={open_directory}", "SECRET=1", warm.program, "ps"]
    assert subprocess.run(command, check=False).returncode == COLD
    out, _ = listener.communicate(timeout=20)
    assert out == "0 0\n"


def test_nothing_in_the_run_directory_is_executed(warm: WarmEngine, open_directory: Path) -> None:
    """A client that lay beside the socket would be whoever's who can write there."""
    trap = "#!/bin/sh\nexit 42\n"
    for name in ("orlop", "client", os.uname().machine, f"client-{os.uname().machine}"):
        (open_directory / name).write_text(trap)
        (open_directory / name).chmod(0o755)
    (open_directory / SOCKET).symlink_to(warm.run_root / SOCKET)
    command = ["env", f"ORLOP_RUN_ROOT={open_directory}", f"XDG_RUNTIME_DIR={open_directory}", warm.program, "ps"]
    assert subprocess.run(command, check=False, cwd=open_directory).returncode == COLD


def test_another_user_is_not_served(open_directory: Path, rootfs: Path) -> None:
    """Who gets as far as the socket because somebody opened the directory."""
    warm = WarmEngine(open_directory, rootfs)
    warm.warm_up()
    warm.run_root.chmod(0o755)
    (warm.run_root / SOCKET).chmod(0o777)
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(theirs, b"answered: " + ask(warm, own_request(warm, "ps")))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(theirs)
    assert os.read(ours, 100) == b"answered: "
    os.close(ours)
    warm.run_root.chmod(0o700)
    warm.close()


def test_the_run_directory_and_its_socket_are_closed_to_others(warm: WarmEngine) -> None:
    assert warm.run_root.stat().st_mode & 0o077 == 0
    assert (warm.run_root / SOCKET).stat().st_mode & 0o022 == 0


def test_whoever_shows_another_process_than_itself_is_not_served(warm: WarmEngine) -> None:
    """Its rights and its namespaces would be taken for the caller's."""
    assert ask(warm, own_request(warm, "ps"), process=f"/proc/{os.getppid()}") == b""


@pytest.mark.parametrize("process", ["/", "/proc", "/dev/null"])
def test_whoever_shows_no_process_is_not_served(warm: WarmEngine, process: str) -> None:
    assert ask(warm, own_request(warm, "ps"), process=process) == b""


@pytest.mark.parametrize("count", [0, 1, 4])
def test_whoever_sends_too_few_descriptors_is_not_served(warm: WarmEngine, count: int) -> None:
    assert ask(warm, own_request(warm, "ps"), count=count) == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        bytes(8),
        b"\xff" * 8,
        b"\xff" * 8 + b"a\0" * 9,
        (1 << 31).to_bytes(4, sys.byteorder) + bytes(4) + b"x\0",
        request(["python3"], []),
        request(["python3", "-IS"], ["A=1"]),
        request([], ["A=1"]),
        b"x" * 100_000,
    ],
    ids=range(10),
)
def test_a_malformed_request_costs_the_launcher_nothing(warm: WarmEngine, data: bytes) -> None:
    launcher = warm.launcher()
    if data:
        assert ask(warm, data) == b""
    else:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(str(warm.run_root / SOCKET))
    assert warm("ps").code == 0
    assert warm.launcher() == launcher


def test_whoever_carries_a_command_out_has_no_descriptor_of_another_s(warm: WarmEngine) -> None:
    """What is open in the launcher and in earlier commands is not open in the next one."""
    process = warm.popen("run", "--rm", "-i", "--rootfs", "ROOTFS", "cat", stdin=subprocess.PIPE)
    (worker,) = wait_until(warm.busy, "a process that carries the command out")
    mine = {os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)}

    def opened() -> list[str]:
        found = []
        for path in Path(f"/proc/{worker}/fd").iterdir():
            try:
                found.append(os.readlink(path))
            except FileNotFoundError:
                continue
        return [each for each in found if each not in mine and not each.startswith(("socket:", "pipe:"))]

    wait_until(lambda: not opened(), "only sockets and pipes being open")
    process.communicate(b"", timeout=20)


def test_the_client_is_no_way_to_other_programs_for_a_set_user_id_caller() -> None:
    """It takes what it executes from its caller alone, and gains nothing: no set-user-ID bit, no capabilities."""
    status = CLIENT.stat()
    assert status.st_mode & 0o6000 == 0
    assert "security.capability" not in os.listxattr(CLIENT)
