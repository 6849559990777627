"""Running programs from Python: to their end, with limits, and cleaned up after whatever happens."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING

import pytest

import orlop
from tests.integration.conftest import REPOSITORY
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine.conftest import Engine as CommandLine


def sh(engine: orlop.Engine, script: str, **options: object) -> orlop.Result:
    result: orlop.Result = engine.containers.run("plain", ["sh", "-c", script], **options)  # type: ignore[call-overload]
    return result


def test_a_result_has_exit_code_output_and_what_it_took(engine: orlop.Engine) -> None:
    result = sh(engine, "echo out; echo err >&2; exit 3")
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
    assert (result.ok, result.text, result.truncated, result.oom_killed) == (False, "out\n", False, False)
    assert result.image == "plain"
    assert result.timings.starting > 0
    assert result.timings.total >= result.timings.starting
    assert result.usage.cpu_seconds is not None
    assert 0 < result.usage.cpu_seconds < 5


def test_a_directory_can_be_run_on_in_place(engine: orlop.Engine, command: CommandLine) -> None:
    result = engine.containers.run(rootfs=command.rootfs, command=["pwd"])
    assert (result.stdout, result.image) == (b"/\n", command.rootfs)


def test_a_warm_run_imports_nothing(engine: orlop.Engine) -> None:
    sh(engine, "true", stdin=b"x", memory="64m")
    before = set(sys.modules)
    sh(engine, "true", stdin=b"x", memory="64m")
    assert set(sys.modules) - before == set()


@pytest.mark.parametrize("given", [b"", b"some", b"x" * 300_000], ids=len)
def test_input_is_bytes_text_or_a_stream(engine: orlop.Engine, given: bytes) -> None:
    assert engine.containers.run("plain", ["cat"], stdin=given).stdout == given
    assert engine.containers.run("plain", ["cat"], stdin=given.decode()).stdout == given
    assert engine.containers.run("plain", ["cat"], stdin=io.BytesIO(given)).stdout == given


def test_input_of_a_pipe_is_passed_on_while_it_comes(engine: orlop.Engine) -> None:
    reader, writer = os.pipe()

    def write() -> None:
        for number in range(3):
            os.write(writer, f"{number}\n".encode())
        os.close(writer)

    thread = threading.Thread(target=write)
    with open(reader, "rb", buffering=0) as file:
        thread.start()
        assert engine.containers.run("plain", ["cat"], stdin=file).stdout == b"0\n1\n2\n"
        thread.join()


def test_a_program_that_reads_no_input_ends_all_the_same(engine: orlop.Engine) -> None:
    assert engine.containers.run("plain", ["true"], stdin=b"x" * 1_000_000).ok


def test_check_makes_an_exit_code_an_error(engine: orlop.Engine) -> None:
    with pytest.raises(orlop.CommandFailed, match="exit code 4: out of luck") as caught:
        sh(engine, "echo out of luck >&2; exit 4", check=True)
    error = caught.value
    assert (error.exit_code, error.stderr, error.image) == (4, b"out of luck\n", "plain")
    assert error.command == ["sh", "-c", "echo out of luck >&2; exit 4"]
    assert len(error.container_id) == 64
    assert sh(engine, "exit 0", check=True).ok


def test_a_program_that_takes_too_long_is_killed(engine: orlop.Engine) -> None:
    with pytest.raises(orlop.TimedOut, match=r"took longer than 0\.3 seconds") as caught:
        sh(engine, "echo begun; sleep 60", timeout=0.3)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.result.stdout == b"begun\n"
    assert caught.value.result.exit_code == 137
    assert caught.value.timeout == 0.3


def test_a_program_that_takes_no_input_is_killed_too(engine: orlop.Engine) -> None:
    with pytest.raises(orlop.TimedOut):
        engine.containers.run("plain", ["sleep", "60"], stdin=b"x" * 5_000_000, timeout=0.3)


def test_of_the_output_the_beginning_is_kept(engine: orlop.Engine) -> None:
    result = sh(engine, "head -c 300000 /dev/zero; echo end >&2", output_limit="100k")
    assert result.truncated
    assert len(result.stdout) == 100 << 10
    assert result.stderr == b"end\n"


def test_a_program_without_memory_is_known_by_it(engine: orlop.Engine) -> None:
    result = sh(engine, "head -c 100000000 /dev/zero | tail > /dev/null; exit 9", memory="12m", memory_swap="12m")
    assert result.oom_killed
    assert result.usage.peak_memory is not None
    assert result.usage.peak_memory <= 12 << 20


def test_options_arrive(engine: orlop.Engine, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("bound")
    result = sh(
        engine,
        "hostname; id -u; pwd; echo $GREETING; cat /in/file; ls /dev/shm; touch /x || touch /scratch/y; ls /scratch",
        hostname="box",
        user=1000,
        workdir="/tmp",
        env={"GREETING": "hello", "OTHER": None},
        volumes={tmp_path: "/in:ro"},
        read_only=True,
        tmpfs=["/scratch"],
        pids_limit=20,
        cpus=0.5,
        cap_drop=["ALL"],
        labels={"a": "b"},
    )
    assert result.stdout.split() == [b"box", b"1000", b"/tmp", b"hello", b"boundy"], result


def test_mounts_are_objects(engine: orlop.Engine, tmp_path: Path) -> None:
    (tmp_path / "file:name").write_text("bound")
    mounts = [orlop.Bind(tmp_path, "/in", read_only=True), orlop.Tmpfs("/t", size="1m", mode=0o700)]
    result = sh(engine, "cat '/in/file:name'; touch /in/x || echo refused; stat -c %a /t", mounts=mounts)
    assert result.stdout == b"boundrefused\n700\n", result


def test_a_missing_program_is_told_with_docker_s_exit_code(engine: orlop.Engine) -> None:
    with pytest.raises(orlop.StartFailed, match="nosuch") as caught:
        engine.containers.run("plain", ["nosuch"])
    assert (caught.value.exit_code, caught.value.image) == (127, "plain")
    assert len(caught.value.container_id) == 64
    with pytest.raises(orlop.StartFailed) as caught:
        engine.containers.run("plain", ["/etc/passwd"], detach=True)
    assert caught.value.exit_code == 126


def test_a_missing_image_is_told_by_its_name(engine: orlop.Engine) -> None:
    with pytest.raises(orlop.ImageNotFound) as caught:
        engine.containers.run("nobody/has:this", ["true"], pull="never")
    assert caught.value.image == "nobody/has:this"


def test_a_name_in_use_is_a_conflict_that_leaves_nothing(engine: orlop.Engine) -> None:
    with (
        engine.containers.run("plain", ["sleep", "60"], name="taken", detach=True),
        pytest.raises(orlop.OrlopError, match="taken"),
    ):
        engine.containers.run("plain", ["true"], name="taken")


def test_what_is_for_programs_that_are_waited_for_is_refused_with_detach(engine: orlop.Engine) -> None:
    with pytest.raises(orlop.InvalidArgument, match="not with detach"):
        engine.containers.run("plain", ["true"], detach=True, timeout=3)  # type: ignore[call-overload]


def test_a_container_that_is_to_stay_stays(engine: orlop.Engine) -> None:
    result = engine.containers.run("plain", ["echo", "hello"], remove=False)
    with engine.containers.get(result.container_id) as container:
        assert (container.status, container.exit_code) == ("exited", 0)
        assert container.logs() == b"hello\n"


def test_many_threads_use_one_engine(engine: orlop.Engine) -> None:
    results: dict[int, bytes] = {}

    def run(number: int) -> None:
        for each in range(number * 3, number * 3 + 3):
            results[each] = engine.containers.run("plain", ["echo", str(each)]).stdout

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: f"{number}\n".encode() for number in range(24)}


#: Runs a container that sleeps, in an engine of its own, and tells when it does.
_SLEEPER = """
import os, sys, threading
sys.path.insert(0, sys.argv[1])
import orlop
with orlop.Engine(sys.argv[2], sys.argv[3]) as engine:
    if sys.argv[5] == "threads":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    try:
        {action}
    except KeyboardInterrupt:
        print("interrupted", engine.containers.list(all=True))
"""
_WAITING = 'engine.containers.run(rootfs=sys.argv[4], command=["sh", "-c", "echo $$ > /proc/self/comm; sleep 1000"])'


def sleeper(command: CommandLine, *, threads: bool = False, action: str = _WAITING) -> subprocess.Popen[str]:
    words = [str(REPOSITORY / "src"), str(command.root), str(command.run_root), command.rootfs, "threads" * threads]
    program = textwrap.dedent(_SLEEPER).replace("{action}", action)
    return subprocess.Popen(
        [sys.executable, "-c", program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def running(engine: orlop.Engine) -> bool:
    return bool(engine.containers.list())


@pytest.mark.parametrize("threads", [False, True], ids=["alone", "with threads"])
def test_an_interrupted_run_is_cleaned_up(engine: orlop.Engine, command: CommandLine, threads: bool) -> None:
    with sleeper(command, threads=threads) as child:
        wait_until(lambda: running(engine), "the container")
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=20)[0] == "interrupted []\n"


def test_a_killed_caller_takes_its_program_along(engine: orlop.Engine, command: CommandLine) -> None:
    with sleeper(command) as child:
        wait_until(lambda: running(engine), "the container")
        child.kill()
    wait_until(lambda: not engine.containers.list(all=True), "the end of the container")


def test_a_leashed_container_ends_with_its_caller(engine: orlop.Engine, command: CommandLine) -> None:
    action = (
        'engine.containers.run(rootfs=sys.argv[4], command=["sh", "-c", "while true; do echo x; done"], detach=True, '
        "remove=True, leash=True); sys.stdin.read()"
    )
    with sleeper(command, action=action) as child:
        wait_until(lambda: running(engine), "the container")
        (container,) = engine.containers.list()
        wait_until(lambda: len(container.logs(tail=5)) == 10, "output, which nobody has to read")
        child.kill()
    wait_until(lambda: not engine.containers.list(all=True), "the end of the container")


def test_a_leashed_container_ends_with_its_engine(engine: orlop.Engine) -> None:
    with orlop.Engine(engine.location.root, engine.location.run_root) as other:
        container = other.containers.run("plain", ["sleep", "1000"], detach=True, leash=True)
        assert container.status == "running"
    assert (container.status, container.exit_code) == ("exited", 137)
    container.remove()


def test_an_exception_in_the_block_removes_the_container(engine: orlop.Engine) -> None:
    with pytest.raises(ZeroDivisionError), engine.containers.run("plain", ["sleep", "60"], detach=True):
        raise ZeroDivisionError
    assert engine.containers.list(all=True) == []


def test_the_first_container_of_a_process_with_threads_forks_nothing(tmp_path: Path, rootfs: Path) -> None:
    """Without a launcher there is one to be made; and no warning of Python's about forks is let pass."""
    program = textwrap.dedent(
        """
        import sys, threading, warnings
        warnings.simplefilter("error")
        sys.path.insert(0, sys.argv[1])
        import os, orlop
        os.fork = os.forkpty = None
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        with orlop.Engine(sys.argv[2], sys.argv[3]) as engine:
            assert engine.containers.run(rootfs=sys.argv[4], command=["echo", "one"]).stdout == b"one\\n"
            with engine.containers.run(rootfs=sys.argv[4], command=["sleep", "60"], detach=True) as container:
                assert container.exec(["echo", "two"]).stdout == b"two\\n"
                assert container.read_bytes("/etc/group")
                container.restart(0)
            assert engine.containers.list(all=True) == []
        """
    )
    words = [str(REPOSITORY / "src"), str(tmp_path / "root"), str(tmp_path / "run"), str(rootfs)]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60, check=False
    )
    try:
        assert (done.returncode, done.stderr) == (0, "")
    finally:
        from tests.integration.engine.conftest import Engine

        Engine(tmp_path, rootfs).close()


def test_an_engine_goes_on_after_its_launcher_was_killed(engine: orlop.Engine, command: CommandLine) -> None:
    assert engine.containers.run("plain", ["true"]).ok
    os.kill(command.launcher(), signal.SIGKILL)
    assert engine.containers.run("plain", ["echo", "again"]).stdout == b"again\n"


def test_time_is_counted_from_the_start_of_the_program(engine: orlop.Engine) -> None:
    begun = time.monotonic()
    result = sh(engine, "sleep 0.2")
    assert 0.2 <= result.timings.running <= time.monotonic() - begun
