"""A command that a child of the launcher carries out is, to whoever called it, the command itself.

The engines here have no interpreter once their launcher runs (see `warm_engine`): what succeeds was carried out by the
launcher, and what ends with `COLD` was left to an interpreter.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import Engine, wait_until
from tests.integration.engine.ordinary_user import make_engine
from tests.integration.engine.warm_engine import (
    CLIENT,
    COLD,
    NEEDS_CLIENT,
    SOCKET,
    busy_one,
    own,
    warm,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.warm_engine import (
        WarmEngine,
    )

__all__ = ["own", "warm"]

pytestmark = NEEDS_CLIENT


def test_output_errors_and_status_are_the_program_s(warm: WarmEngine) -> None:
    result = warm.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.code, result.out, result.err) == (7, "out\n", "err\n")


def test_input_reaches_the_program_to_its_end(warm: WarmEngine) -> None:
    data = bytes(range(256)) * 4096
    command = warm.command("run", "--rm", "-i", "--rootfs", "ROOTFS", "cat")
    assert subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout == data


def test_ten_megabytes_of_output_come_whole(warm: WarmEngine) -> None:
    command = warm.command("run", "--rm", "--rootfs", "ROOTFS", "dd", "if=/dev/zero", "bs=1024", "count=10240")
    output = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60).stdout
    assert len(output) == 10240 * 1024


def test_words_and_environment_come_as_they_are(warm: WarmEngine) -> None:
    environment = {"LINES": "a\nb", "EMPTY": "", "EQUAL": "a=b", "NOTHING ELSE": "1", "PATH": "/usr/bin:/bin"}
    names = [f"--env={name}" for name in ("LINES", "EMPTY", "EQUAL")]
    script = 'printf "%s|" "$LINES" "${EMPTY-unset}" "$EQUAL" "$1" "$2"'
    command = warm.command("run", "--rm", *names, "--rootfs", "ROOTFS", "sh", "-c", script, "sh", "", "a \xe9\n*")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "a\nb||a=b||a \xe9\n*|"


def test_variables_of_an_earlier_command_are_forgotten(warm: WarmEngine) -> None:
    words = ("run", "--rm", "-e", "SECRET", "--rootfs", "ROOTFS", "sh", "-c", "echo ${SECRET-none}")
    assert warm.ok(*words, env={**os.environ, "SECRET": "known"}) == "known\n"
    assert warm.ok(*words) == "none\n"


def test_relative_paths_mean_the_caller_s_directory(warm: WarmEngine, tmp_path: Path) -> None:
    (tmp_path / "variables").write_text("GREETING=hello\n")
    words = ("run", "--rm", "--env-file", "variables", "--rootfs", "ROOTFS", "sh", "-c", "echo $GREETING")
    assert warm.ok(*words, cwd=tmp_path) == "hello\n"


def test_a_program_called_by_a_relative_path_is_the_same(warm: WarmEngine) -> None:
    program, warm.program = warm.program, "bin/orlop"
    try:
        assert warm.run("echo", "here", cwd=warm.bin.parent).out == "here\n"
    finally:
        warm.program = program


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--no-such-option"],
        ["run", "--help"],
        ["exec", "nowhere", "true"],
        ["exec", "box", "/nowhere"],
        ["ps", "--format", "{{.Names}}"],
        ["inspect", "--format", "{{.State.Status}}", "box"],
        ["run", "--name", "box", "--rootfs", "/nowhere", "true"],
        ["run", "127.0.0.1:1/nothing:here"],
        ["logs"],
        ["start", "box"],
        ["kill", "--signal", "NOTHING", "box"],
        ["rm", "box"],
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_it_says_and_returns_what_an_interpreter_would(warm: WarmEngine, words: list[str]) -> None:
    served = warm(*words)
    assert served.code != COLD
    warm.interpreter("real")
    other = Engine(warm.bin.parent, Path(warm.rootfs))  # which is named by options
    other.program = warm.program
    cold = other(*words)
    warm.interpreter("cold")
    assert (served.code, served.out, served.err) == (cold.code, cold.out, cold.err)


def test_what_the_launcher_is_not_for_is_left_to_an_interpreter(warm: WarmEngine) -> None:
    assert warm("version").code == COLD
    assert warm("--root", str(warm.root), "ps").code == COLD


def test_all_that_was_open_is_closed_before_the_end(warm: WarmEngine, tmp_path: Path) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    for _ in range(5):
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
        try:
            with (place / "output").open("wb") as output:
                command = warm.command("ps", "-q")
                subprocess.run(command, stdout=output, stdin=subprocess.DEVNULL, cwd=place, check=True)
        finally:
            subprocess.run(["umount", place], check=True)  # EBUSY would fail


def test_output_that_cannot_be_written_is_an_error(warm: WarmEngine) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(warm.command("ps"), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 120
    assert "No space left on device" in done.stderr


def test_a_reader_who_has_had_enough_ends_it(warm: WarmEngine) -> None:
    process = warm.popen("run", "--rm", "--rootfs", "ROOTFS", "yes", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (141, b"")
    for name in warm.ok("ps", "-q", "--filter", "status=running").split():
        if warm.inspect(name)["Name"].lstrip("/") != "box":
            warm.ok("rm", "-f", name)


@pytest.mark.parametrize("interpreter", ["cold", "real"], ids=["served", "by an interpreter"])
def test_a_reader_who_wants_nothing_of_it_is_no_error(warm: WarmEngine, interpreter: str) -> None:
    warm.interpreter(interpreter)
    words = ["--root", str(warm.root), "ps"] if interpreter == "real" else ["ps"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(warm.command(*words), stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    warm.interpreter("cold")
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_clients_of_all_machines_speak_alike(warm: WarmEngine, machine: str) -> None:
    emulator: list[str] = []
    if machine != os.uname().machine:
        found = shutil.which(f"qemu-{machine}-static")
        if found is None:
            pytest.skip(f"needs qemu-{machine}-static (Debian's qemu-user-static)")
        emulator = [found]
    client = CLIENT.parent.parent / machine / "orlop"
    words = [str(warm.run_root / SOCKET), str(warm.bin / "python3"), "-IS", warm.program]
    words += ["exec", "box", "sh", "-c", "echo said; exit 9"]
    environment = {"ORLOP_ROOT": str(warm.root), "ORLOP_RUN_ROOT": str(warm.run_root)}
    done = subprocess.run(
        [*emulator, client, *words], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stdout) == (9, b"said\n")


def test_a_script_that_ends_at_errors_sees_statuses(warm: WarmEngine) -> None:
    run = " ".join(warm.command("exec", "box"))
    script = f"set -e; {run} true; out=$({run} echo kept); echo $out; {run} sh -c 'exit 4'; echo never"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (4, "kept\n")


def test_a_shell_s_background_job_has_its_status_and_ignores_the_keyboard(warm: WarmEngine) -> None:
    follow_logs = " ".join(warm.command("logs", "-f", "box"))
    script = f"{follow_logs} & echo $!; wait $!; echo status $?"
    shell = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert shell.stdout is not None
    lines = sorted((shell.stdout.readline(), shell.stdout.readline()))
    assert lines[1] == b"up\n"
    job = int(lines[0])
    os.kill(job, signal.SIGINT)  # sh has its background jobs ignore it
    worker = busy_one(warm)
    time.sleep(0.05)  # that nothing happens, no event tells
    assert os.getpgid(worker) == worker
    os.kill(job, signal.SIGTERM)
    rest, _ = shell.communicate(timeout=60)
    assert rest.endswith(b"status 143\n")


@pytest.fixture
def never_cold(warm: WarmEngine) -> Iterator[WarmEngine]:
    """With an interpreter for whoever is not served in time, because there are so many."""
    warm.interpreter("real")
    yield warm
    warm.interpreter("cold")


def test_many_at_once_each_get_their_own(never_cold: WarmEngine) -> None:
    processes = [
        never_cold.popen("exec", "-i", "box", "sh", "-c", f"cat; echo {number}; exit {number}",
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in range(24)
    ]  # fmt: skip
    ended = [process.communicate(f"in {number} ".encode(), timeout=60) for number, process in enumerate(processes)]
    for number, (process, (out, err)) in enumerate(zip(processes, ended, strict=True)):
        assert (process.returncode, out, err) == (number, f"in {number} {number}\n".encode(), b"")


def test_an_ordinary_user_is_served_by_a_launcher_of_theirs() -> None:
    with make_engine("warm", ranges=False) as user:
        places = (f"XDG_RUNTIME_DIR={user.run_root.parent}", f"XDG_DATA_HOME={user.root}")
        run_root = user.run_root.parent / "orlop"
        run = [*user.prefix, *places, user.program, "run", "--rm", "-i", "--rootfs", user.rootfs, "cat"]
        subprocess.run(run, stdin=subprocess.DEVNULL, check=True, timeout=30)
        wait_until((run_root / SOCKET).exists, "the user's launcher")
        process = subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(b"typed")
        process.stdin.flush()
        assert process.stdout is not None
        assert process.stdout.read(5) == b"typed"
        program = os.readlink(f"/proc/{process.pid}/exe")
        assert process.communicate(timeout=30)[0] == b""
        assert (process.returncode, program) == (0, str(CLIENT))
        user.run_root, first = run_root, user.run_root
        for pid in user.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not user.processes(), "the launcher's end")
        user.run_root = first


def test_a_container_is_started_without_reading_any_code(own: WarmEngine, tmp_path: Path) -> None:
    words = ("run", "--rm", "--network", "none", "--memory", "64m", "--rootfs", "ROOTFS", "true")
    for _ in range(2):
        assert own(*words).code == 0
    wait_until(lambda: not own.busy() and not own.processes("orlop-monitor"), "the end of all who were busy")
    trace = tmp_path / "trace"
    processes = own.processes()
    everybody = [word for pid in processes for word in ("-p", str(pid))]
    command = ["strace", "--follow-forks", "--trace=open,openat,stat,newfstatat", f"--output={trace}", *everybody]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        for _ in processes:
            assert "attached" in tracer.stderr.readline()
        assert own(*words).code == 0
        tracer.send_signal(signal.SIGINT)
    read = [
        line
        for line in trace.read_text().splitlines()
        if "/orlop/" in line and (".py" in line or "__pycache__" in line)
    ]
    assert [line for line in read if re.search(r"\bopen(at)?\(", line)] == []
    assert len(read) < 10  # whether the code has changed the kernel tells
