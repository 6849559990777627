"""A build that a child of the warm builder carries out is, to whoever called it, the command itself.

The engines here have no interpreter once their builder waits (see `warm_engine`): what succeeds was carried out by it, and
what ends with `COLD` was left to an interpreter.
"""

from __future__ import annotations

import os
import pty
import resource
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.build.conftest import Builder
from tests.integration.engine.conftest import comm, wait_until
from tests.integration.engine.warm_engine import COLD, NEEDS_CLIENT, WarmEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = NEEDS_CLIENT

DOOR = f"builds-{os.uname().machine}.sock"


class WarmBuilds(WarmEngine, Builder):
    """An engine whose builds are carried out by its builder, or fail."""

    def warm_up(self) -> None:
        """Have a builder that waits, and no interpreter."""
        self.interpreter("real")
        assert self.build(self.context("FROM base\n")).code == 0
        wait_until((self.run_root / DOOR).exists, "the builder's socket")
        self.interpreter("cold")

    def process(self) -> int:
        """The builder's pid."""
        (pid,) = self.processes("orlop-builder")
        return pid

    def building(self) -> list[int]:
        """Processes that build at this moment; the one that waits is in the builder's process group."""
        return [pid for pid in self.processes("orlop-build") if os.getpgid(pid) == pid and comm(pid) == "orlop-build"]

    def cold(self, *arguments: str) -> str:
        """What a command prints that an interpreter carries out."""
        self.interpreter("real")
        try:
            return self.ok(*arguments)
        finally:
            self.interpreter("cold")


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[WarmBuilds]:
    made = WarmBuilds(tmp_path_factory.mktemp("engine"), rootfs)
    archive = subprocess.run(["tar", "-C", str(rootfs), "-c", "."], capture_output=True, check=True).stdout
    made.ok("import", "-", "base", given=archive)
    made.warm_up()
    yield made
    made.close()


def test_files_are_copied_programs_run_and_the_second_build_has_nothing_to_do(warm: WarmBuilds) -> None:
    context = warm.context("FROM base\nCOPY a /a\nRUN cat /a >/b; id -u >>/b\n", a="text\n")
    first = warm.build(context, "-t", "warm")
    assert first.code == 0, first
    assert "CACHED" not in first.err
    second = warm.build(context, "-t", "warm")
    assert second.out == first.out
    assert second.err.count("CACHED") == 2
    assert warm.cold("run", "--rm", "--network", "none", "warm", "cat", "/b") == "text\n0\n"
    (context / "a").write_text("other\n")
    third = warm.build(context, "-t", "warm")
    assert (third.code, third.err.count("CACHED")) == (0, 0)


def test_a_failure_is_told_as_an_interpreter_tells_it(warm: WarmBuilds) -> None:
    context = warm.context("FROM base\nRUN echo said; exit 3\n")
    served = warm.build(context)
    warm.interpreter("real")
    cold = warm(
        "--root", str(warm.root), "--run-root", str(warm.run_root), "build", "--progress", "plain", str(context)
    )
    warm.interpreter("cold")
    assert (served.code, served.out) == (cold.code, cold.out)
    assert served.code not in (0, COLD)
    assert [line for line in served.err.splitlines() if not line.startswith("#")] == [
        line for line in cold.err.splitlines() if not line.startswith("#")
    ]


def test_a_context_comes_from_standard_input_or_from_the_caller_s_directory(warm: WarmBuilds) -> None:
    assert warm("build", "-q", "-", given=b"FROM base\nENV A=1\n").code == 0
    context = warm.context("FROM base\nCOPY a /\n", a="1")
    assert warm("build", "-q", ".", cwd=context).code == 0


def test_arguments_and_secrets_come_from_the_caller_s_environment(warm: WarmBuilds) -> None:
    text = "FROM base\nARG A\nRUN --mount=type=secret,id=S echo $A >/a; cat /run/secrets/S | wc -c >>/a\n"
    words = ("build", "-q", "-t", "environment", "--build-arg", "A", "--secret", "id=S,env=S", str(warm.context(text)))
    assert warm(*words, env={**os.environ, "A": "said", "S": "four"}).code == 0
    assert warm.cold("run", "--rm", "--network", "none", "environment", "cat", "/a") == "said\n4\n"


def test_limits_and_priority_are_the_caller_s(warm: WarmBuilds) -> None:
    warm.prefix = ("nice", "-n", "7", "prlimit", f"--fsize={1 << 20}", "--")
    try:
        context = warm.context("FROM base\nCOPY large /large\n", large=b"x" * (2 << 20))
        result = warm.build(context)
        assert result.code not in (0, COLD), result
        process = warm.popen("build", "-q", "-f", "-", str(context), stdin=subprocess.PIPE)
        (worker,) = wait_until(warm.building, "a build that waits for its Dockerfile")
        assert os.getpriority(os.PRIO_PROCESS, worker) == 7
        assert resource.prlimit(worker, resource.RLIMIT_FSIZE)[0] == 1 << 20
        process.communicate(b"FROM base\n", timeout=60)
        assert process.returncode == 0
    finally:
        warm.prefix = ()


def test_a_caller_in_another_cgroup_is_left_to_an_interpreter(warm: WarmBuilds) -> None:
    group = Path(f"/sys/fs/cgroup/pids/orlop-test-{os.getpid()}")
    if not group.parent.is_dir():
        group = Path(f"/sys/fs/cgroup/orlop-test-{os.getpid()}")
    group.mkdir()
    try:
        warm.prefix = ("sh", "-c", f'echo 0 >{group}/cgroup.procs; exec "$@"', "sh")
        assert warm.build(warm.context("FROM base\n")).code == COLD
    finally:
        warm.prefix = ()
        wait_until(lambda: (group / "cgroup.procs").read_text() == "", "an empty group")
        group.rmdir()


@pytest.mark.parametrize("words", [["-"], ["-f", "-", "."]])
def test_who_types_a_dockerfile_is_a_job_of_its_shell(warm: WarmBuilds, words: list[str]) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        command = warm.command("build", "-q", *words)
        os.execvp(command[0], command)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == COLD


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_ends_with_its_caller(warm: WarmBuilds, number: signal.Signals) -> None:
    process = warm.popen(
        "build", "--progress", "plain", str(warm.context("FROM base\nRUN echo up; sleep 100\n")), stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    while b" up\n" not in process.stderr.readline():
        pass
    process.send_signal(number)
    assert process.wait(timeout=60) == (130 if number == signal.SIGINT else -number)
    process.stderr.close()
    wait_until(lambda: not warm.building(), "the end of who built")
    wait_until(lambda: os.listdir(warm.run_root / "building") == [], "the end of the step's container")


def test_nothing_of_ours_is_read_for_a_build_that_has_nothing_to_do(warm: WarmBuilds, tmp_path: Path) -> None:
    context = warm.context("FROM base AS one\nCOPY a /a\nRUN true\nFROM base\nCOPY --from=one /a /a\n", a="1")
    assert warm.build(context).code == 0
    assert warm.build(context).code == 0
    trace = tmp_path / "trace"
    builder = warm.process()
    command = ["strace", "--follow-forks", "--trace=open,openat", f"--output={trace}"]
    waiting = [pid for pid in warm.processes("orlop-build") if pid != builder]
    everybody = [word for pid in (builder, *waiting) for word in ("-p", str(pid))]
    with subprocess.Popen([*command, *everybody], stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        for _ in range(len(everybody) // 2):
            assert "attached" in tracer.stderr.readline()
        assert warm.build(context).code == 0
        tracer.send_signal(signal.SIGINT)
    opened = [line for line in trace.read_text().splitlines() if "open" in line]
    assert any("build/records" in line for line in opened)
    assert [line for line in opened if ".py" in line or ".so" in line] == []


def test_a_builder_that_was_killed_costs_nobody_anything(warm: WarmBuilds) -> None:
    builder = warm.process()
    os.kill(builder, signal.SIGKILL)
    wait_until(lambda: not warm.processes("orlop-build"), "the builder's end")
    context = warm.context("FROM base\n")
    assert warm.build(context).code == COLD
    (warm.run_root / DOOR).unlink()  # so that the next one can be waited for
    warm.warm_up()
    assert warm.build(context).code == 0
    assert warm.process() != builder
