"""What a launcher does not serve is left to an interpreter, and nothing is lost when either side is killed."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.engine.conftest import wait_until
from tests.integration.engine.warm_engine import (
    COLD,
    NEEDS_CLIENT,
    SOCKET,
    WarmEngine,
    busy_one,
    follow,
    own,
    state,
    warm,
)

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine

__all__ = ["own", "warm"]

pytestmark = NEEDS_CLIENT


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_closed_stream_is_left_to_an_interpreter(warm: WarmEngine, number: int) -> None:
    command = ["sh", "-c", f'exec "$@" {number}>&-', "sh", *warm.command("ps", "-q")]
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == COLD


_BLOCK = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [10]); os.execvp(sys.argv[1], sys.argv[1:])"


@pytest.mark.parametrize(
    "prefix",
    [
        ("unshare", "-m"),
        ("unshare", "-n"),
        ("unshare", "-u"),
        ("unshare", "-p", "-f"),
        ("setpriv", "--groups", "4,5"),
        ("setpriv", "--no-new-privs"),
        ("setpriv", "--bounding-set", "-net_raw"),
        ("setpriv", "--inh-caps", "+chown"),
        ("env", "LC_ALL=de_DE.ISO-8859-1"),
        ("env", "BIG=" + "x" * 130_000),
        (sys.executable, "-c", _BLOCK),
    ],
    ids=lambda prefix: " ".join(prefix)[:40],
)
def test_another_context_is_left_to_an_interpreter(warm: WarmEngine, prefix: tuple[str, ...]) -> None:
    done = subprocess.run([*prefix, *warm.command("ps", "-q")], check=False, stdout=subprocess.DEVNULL)
    assert done.returncode == COLD


def test_without_any_variable_it_is_left_to_an_interpreter(warm: WarmEngine) -> None:
    """The place of the engine too is told by one, so that this shows no more than that the client copes."""
    client = REPOSITORY / f"src/orlop/client/{os.uname().machine}/orlop"
    words = [str(warm.run_root / SOCKET), str(warm.bin / "cold"), "-IS", warm.program, "ps"]
    assert subprocess.run([client, *words], env={}, check=False).returncode == COLD


@pytest.mark.parametrize("path", ["/dev/fd/0", "/dev/stdin", "/proc/self/fd/0"])
def test_a_path_to_a_process_s_own_files_is_left_to_an_interpreter(warm: WarmEngine, path: str) -> None:
    assert warm("run", "--rm", "--env-file", path, "--rootfs", "ROOTFS", "true").code == COLD


def test_another_engine_s_command_is_left_to_an_interpreter(warm: WarmEngine, tmp_path: Path) -> None:
    place = tmp_path / "run"
    place.mkdir()
    (place / SOCKET).symlink_to(warm.run_root / SOCKET)
    command = ["env", f"ORLOP_RUN_ROOT={place}", warm.program, "ps"]
    assert subprocess.run(command, check=False).returncode == COLD


def test_another_copy_of_orlop_is_left_to_its_own_interpreter(own: WarmEngine, tmp_path: Path) -> None:
    for name in ("bin", "src"):
        shutil.copytree(REPOSITORY / name, tmp_path / "copy" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(own.bin / "cold", tmp_path / "copy/bin/python3")
    program, own.program = own.program, str(tmp_path / "copy/bin/orlop")
    assert own("ps").code == COLD
    own.program = program


def test_a_launcher_of_changed_code_does_not_serve(tmp_path: Path, rootfs: Path) -> None:
    engine = WarmEngine(tmp_path, rootfs)
    (tmp_path / "src").unlink()
    shutil.copytree(REPOSITORY / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    engine.warm_up()
    assert engine("ps").code == 0
    first = engine.launcher()
    (tmp_path / "src/orlop/cli/ps.py").touch()  # the same content, and yet newer than what the launcher has loaded
    assert engine("ps").code == COLD
    wait_until(lambda: not Path(f"/proc/{first}").exists(), "the end of the outdated launcher")
    engine.warm_up()
    assert engine("ps").code == 0
    engine.close()


def test_whoever_carries_a_command_out_ends_with_a_client_that_is_killed(warm: WarmEngine) -> None:
    process = follow(warm)
    worker = busy_one(warm)
    process.kill()
    process.wait()
    process.stdout.close()  # type: ignore[union-attr]
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the worker's end")


def test_a_container_outlives_a_client_that_is_killed(warm: WarmEngine) -> None:
    words = ("run", "--name", "lasting", "--rootfs", "ROOTFS", "sh", "-c", "echo ready; while :; do sleep 0.1; done")
    process = warm.popen(*words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    worker = busy_one(warm)
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the worker's end")
    assert warm.state("lasting")["Running"]
    warm.ok("rm", "-f", "lasting")


def test_a_client_ends_like_whoever_carried_its_command_out(warm: WarmEngine) -> None:
    process = follow(warm)
    os.kill(busy_one(warm), signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.stdout.close()  # type: ignore[union-attr]


def test_a_command_goes_on_when_its_launcher_is_killed(own: WarmEngine) -> None:
    script = "echo ready; cat; exit 8"
    process = own.popen("run", "--rm", "-i", "--rootfs", "ROOTFS", "sh", "-c", script,
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    os.kill(own.launcher(), signal.SIGKILL)
    out, _ = process.communicate(b"after\n", timeout=60)
    assert (process.returncode, out) == (8, b"after\n")


def test_the_socket_of_a_killed_launcher_is_left_to_an_interpreter(own: WarmEngine) -> None:
    os.kill(own.launcher(), signal.SIGKILL)
    wait_until(lambda: not own.processes("orlop-command"), "the end of the child that waited")
    assert (own.run_root / SOCKET).exists()
    assert own("ps").code == COLD


def test_a_child_that_is_killed_while_it_waits_costs_a_command_nothing(own: WarmEngine) -> None:
    (waiting,) = wait_until(lambda: own.processes("orlop-command"), "a child that waits")
    os.kill(waiting, signal.SIGKILL)
    assert own("ps").code in (0, COLD)
    wait_until(lambda: waiting not in own.processes(), "the end of the child")


def stop_all(engine: Engine) -> list[int]:
    """Have everybody stand still, also whom one of them was just forking."""
    stopped: list[int] = []
    while new := [pid for pid in engine.processes() if pid not in stopped]:
        for pid in new:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                os.kill(pid, signal.SIGSTOP)
                wait_until(lambda pid=pid: state(pid) in "TZX")  # type: ignore[misc]
        stopped += new
    return stopped


def test_what_is_not_begun_in_time_is_not_done_twice(own: WarmEngine) -> None:
    everybody = stop_all(own)
    command = own.command("create", "--name", "once", "--rootfs", "ROOTFS", "true")
    assert subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode == COLD
    for pid in everybody:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: own("ps", "-a").code == 0, "the launcher serving again")
    wait_until(lambda: not own.busy(), "the end of whoever was late")
    assert own.names() == []


def test_a_launcher_that_ends_takes_its_socket_along(own: WarmEngine) -> None:
    os.kill(own.launcher(), signal.SIGTERM)
    wait_until(lambda: not own.processes(), "the launcher's end")
    assert not (own.run_root / SOCKET).exists()


def test_a_caller_who_says_nothing_holds_nobody_up(own: WarmEngine) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.connect(str(own.run_root / SOCKET))
        assert own("ps").code == 0
        assert select.select([silent], [], [], 60)[0]
        assert silent.recv(5) == b""
