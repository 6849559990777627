"""A command that a child of the launcher carries out is, to whoever called it, the command itself.

The engines here have no interpreter once their launcher runs (see `warm_engine`): what succeeds was carried out by the
launcher, and what ends with `COLD` was left to an interpreter.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.engine.conftest import Engine, wait_until
from tests.integration.engine.ordinary_user import make_engine
from tests.integration.engine.warm_engine import CLIENT, COLD, NEEDS_CLIENT, SOCKET, WarmEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = NEEDS_CLIENT


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[WarmEngine]:
    made = WarmEngine(tmp_path_factory.mktemp("engine"), rootfs)
    made.warm_up()
    made.detached("box", "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done")
    yield made
    made.close()


@pytest.fixture
def own(tmp_path: Path, rootfs: Path) -> Iterator[WarmEngine]:
    """One whose launcher the test may kill."""
    made = WarmEngine(tmp_path, rootfs)
    made.warm_up()
    yield made
    made.close()


def read_until(descriptor: int, text: bytes) -> bytes:
    """What comes from a descriptor until ``text`` does."""
    data = b""
    while text not in data:
        assert select.select([descriptor], [], [], 60)[0], data
        more = os.read(descriptor, 4096)
        assert more, data
        data += more
    return data


def follow(warm: WarmEngine, **options: Any) -> subprocess.Popen[bytes]:
    """``logs -f`` of a container, which has begun to write."""
    process = warm.popen("logs", "-f", "box", stdout=subprocess.PIPE, **options)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def busy_one(warm: WarmEngine) -> int:
    """The process that carries the one command out; others may be just ending."""
    return int(wait_until(lambda: found[0] if len(found := warm.busy()) == 1 else 0, "one process that carries it out"))


# What a command is given, and what it gives back.


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


# In scripts.


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


# Signals.


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


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# Terminals.


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


# What does not fit.


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


# Ends.


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
    wait_until(lambda: not own.busy(), "the end of all who were busy")
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
