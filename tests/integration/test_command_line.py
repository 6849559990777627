"""The options of `run`, `create` and `exec`, seen through what the programs in the containers print."""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import unique_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Bundle, BundleMaker, Runtime


def until(true: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


class ConsoleSocket:
    """Listens for the terminal that a runtime sends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(10)

    def terminal(self) -> int:
        """The descriptor of the master."""
        connection, _ = self._listener.accept()
        with connection:
            space = socket.CMSG_SPACE(array.array("i").itemsize)
            _, ancillary, _, _ = connection.recvmsg(4096, space)
            [(_, _, data)] = ancillary
            received = array.array("i")
            received.frombytes(data[: received.itemsize])
            return received[0]

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def console(tmp_path: Path) -> Iterator[ConsoleSocket]:
    made = ConsoleSocket(tmp_path / "console")
    yield made
    made.close()


def read_all(master: int) -> bytes:
    """What comes out of a terminal until its other end is closed."""
    data = b""
    with open(master, "rb", buffering=0) as file:
        while True:
            try:
                chunk = file.read(4096)
            except OSError:  # EIO
                return data
            if not chunk:
                return data
            data += chunk


# run


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_run_returns_the_programs_status(script: str, status: int, runtime: Runtime, bundle: BundleMaker) -> None:
    # In a child, since the kernel protects a namespace's first process from its own signals.
    made = bundle("sh", "-c", f"(sh -c '{script}'); exit $?")
    assert runtime.call("run", "--bundle", str(made.path), made.path.name).status == status


def test_run_passes_the_standard_streams_on(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "cat; echo problem >&2")
    result = runtime("run", "-b", str(made.path), made.path.name, given="hello")
    assert (result.output, result.errors) == ("hello", "problem\n")


def test_the_bundle_is_the_working_directory_unless_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("echo", "here")
    assert runtime("run", made.path.name, cwd=made.path).output == "here\n"


def test_run_leaves_nothing_unless_it_shall_keep_it(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    runtime("run", "--bundle", str(made.path), "gone-" + made.path.name)
    kept = "kept-" + made.path.name
    runtime("run", "--keep", "--bundle", str(made.path), kept)
    assert runtime("list", "-q").output.split() == [kept]
    assert runtime.state(kept)["status"] == "stopped"


def test_run_writes_the_pid_file(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    made = bundle("sleep", "1000")
    name = made.path.name
    runtime("run", "--detach", "--pid-file", "pid", "--bundle", str(made.path), name, cwd=tmp_path)
    assert (tmp_path / "pid").read_text() == str(runtime.state(name)["pid"])


def test_run_forwards_signals(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "trap 'exit 9' TERM; touch /ready; while :; do sleep 0.01; done")
    with subprocess.Popen(runtime.command("run", "--bundle", str(made.path), made.path.name)) as running:
        until((made.rootfs / "ready").exists)
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 9


def test_preserved_descriptors_reach_the_program_and_no_others(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    made = bundle("sh", "-c", "cat <&3; (cat <&4) 2>/dev/null || echo closed")
    (tmp_path / "file").write_text("from outside\n")
    descriptors = [os.open(tmp_path / "file", os.O_RDONLY) for _ in range(2)]

    def arrange() -> None:
        saved = [os.dup(descriptor) for descriptor in descriptors]
        for place, descriptor in zip((3, 4), saved, strict=True):
            os.dup2(descriptor, place)

    try:
        result = runtime(
            "run",
            "--preserve-fds",
            "1",
            "--bundle",
            str(made.path),
            made.path.name,
            close_fds=False,
            preexec_fn=arrange,
        )
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    assert result.output == "from outside\nclosed\n"


def test_preserving_what_is_not_open_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    result = runtime.call("run", "--preserve-fds", "9", "--bundle", str(made.path), made.path.name)
    assert result.status == 1
    assert "--preserve-fds" in result.errors


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH'),
        ("/nosuch", 'exec: "/nosuch": '),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
        ("/etc", 'exec: "/etc": '),
    ],
)
@pytest.mark.parametrize("command", ["run", "create"])
def test_a_program_that_cannot_run_is_named_as_dockerd_expects_it(
    program: str, words: str, command: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle(program)
    log = made.path / "log.json"
    result = runtime.call(
        "--log", str(log), "--log-format", "json", command, "--bundle", str(made.path), made.path.name
    )
    assert result.status == 1
    [line] = log.read_text().splitlines()
    assert words in json.loads(line)["msg"]
    assert not runtime.root.exists() or os.listdir(runtime.root) == []


def test_a_bundle_that_is_not_there_is_named(runtime: Runtime, tmp_path: Path) -> None:
    result = runtime.call("run", "--bundle", str(tmp_path / "none"), unique_name())
    assert result.status == 1
    assert f"{tmp_path}/none" in result.errors


def test_an_id_can_be_used_once(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "1000")
    name = runtime.start(made)
    for command in ("run", "create"):
        result = runtime.call(command, "--bundle", str(made.path), name)
        assert result.status == 1
        assert "already exists" in result.errors
    assert runtime.state(name)["status"] == "running"


def test_systemd_cgroups_need_systemd(runtime: Runtime, bundle: BundleMaker) -> None:
    if os.path.isdir("/run/systemd/system"):
        pytest.skip("systemd runs here")
    made = bundle("true")
    result = runtime.call("--systemd-cgroup", "run", "--bundle", str(made.path), made.path.name)
    assert result.status == 1
    assert "systemd not running on this host" in result.errors


def test_a_terminal_goes_to_the_console_socket(runtime: Runtime, bundle: BundleMaker, console: ConsoleSocket) -> None:
    made = bundle("sh", "-c", "stty size", terminal=True, consoleSize={"height": 33, "width": 99})
    name = made.path.name
    received: list[int] = []
    waiting = threading.Thread(target=lambda: received.append(console.terminal()))
    waiting.start()
    runtime("run", "--detach", "--console-socket", str(console.path), "--bundle", str(made.path), name)
    waiting.join()
    assert read_all(received[0]).split()[:2] == [b"33", b"99"]


def test_a_console_socket_is_only_for_terminals(runtime: Runtime, bundle: BundleMaker, console: ConsoleSocket) -> None:
    made = bundle("true")
    result = runtime.call(
        "run", "--detach", "--console-socket", str(console.path), "--bundle", str(made.path), made.path.name
    )
    assert result.status == 1
    assert "console" in result.errors


# exec

OUTPUTS = [
    (["exec", "--user", "1000", "{}", "id", "-u"], "1000\n"),
    (["exec", "--user", "1000:1001", "{}", "sh", "-c", "id -u; id -g"], "1000\n1001\n"),
    (["exec", "--user", "1:2", "-g", "3", "-g", "4", "{}", "id", "-G"], "2 3 4\n"),
    (["exec", "--cwd", "/tmp", "{}", "pwd"], "/tmp\n"),
    (["exec", "--env", "A=1", "--env", "B=2 3", "{}", "sh", "-c", "echo $A$B"], "12 3\n"),
    (["exec", "{}", "grep", "NoNewPrivs", "/proc/self/status"], "NoNewPrivs:\t1\n"),
    (["exec", "{}", "grep", "CapEff", "/proc/self/status"], "CapEff:\t00000000000000e3\n"),
    (["exec", "--cap", "CAP_NET_RAW", "{}", "grep", "CapEff", "/proc/self/status"], "CapEff:\t00000000000020e3\n"),
    (["exec", "--cap", "CAP_NET_RAW", "{}", "grep", "CapInh", "/proc/self/status"], "CapInh:\t0000000000000000\n"),
    (["exec", "--cap", "CAP_NET_RAW", "{}", "grep", "CapAmb", "/proc/self/status"], "CapAmb:\t0000000000000000\n"),
    (["exec", "-u", "5", "-c", "CAP_NET_RAW", "{}", "grep", "CapEff", "/proc/self/status"], "CapEff:\t0000000000000000\n"),
    (["exec", "{}", "sh", "-c", "echo $1", "--", "--help"], "--help\n"),
    (["exec", "{}", "hostname"], "box\n"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "output"), OUTPUTS)
def test_exec_options_do_what_they_do_in_runc(
    arguments: list[str], output: str, runtime: Runtime, runc: Runtime, bundle: BundleMaker
) -> None:
    for program in (runc, runtime):
        name = program.start(bundle("sleep", "1000"))
        assert program(*(word.replace("{}", name) for word in arguments)).output == output


def test_cve_2022_29162_a_capability_given_to_exec_stays_with_its_program(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    read = ["grep", "CapEff", "/proc/self/status"]
    assert (
        runtime("exec", "--user", "1000", "--cap", "CAP_NET_RAW", name, *read).output == "CapEff:\t0000000000000000\n"
    )


def test_exec_takes_a_whole_process_from_a_file(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    process = {
        "args": ["/bin/sh", "-c", "id -u; echo $X; pwd"],
        "cwd": "/tmp",
        "env": ["X=y"],
        "user": {"uid": 3, "gid": 4},
    }
    (tmp_path / "process.json").write_text(json.dumps(process))
    result = runtime("exec", "--process", str(tmp_path / "process.json"), name)
    assert result.output == "3\ny\n/tmp\n"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"args": "sh", "cwd": "/"}', '{"args": ["sh"], "cwd": "tmp"}'])
def test_a_process_that_is_none_is_refused(text: str, runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    (tmp_path / "process.json").write_text(text)
    result = runtime.call("exec", "-p", str(tmp_path / "process.json"), name)
    assert result.status == 255
    assert result.errors.count("\n") == 1
    assert "internal error" not in result.errors


def test_a_detached_exec_leaves_its_pid_and_returns(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    runtime("exec", "--detach", "--pid-file", str(tmp_path / "pid"), name, "sleep", "500")
    pid = int((tmp_path / "pid").read_text())
    assert pid in runtime("ps", "--format", "json", name).json()
    assert (tmp_path / "pid").stat().st_size == len(str(pid))


def test_exec_with_a_terminal_sends_it_to_the_console_socket(
    runtime: Runtime, bundle: BundleMaker, console: ConsoleSocket
) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    received: list[int] = []
    waiting = threading.Thread(target=lambda: received.append(console.terminal()))
    waiting.start()
    runtime("exec", "--tty", "--detach", "--console-socket", str(console.path), name, "sh", "-c", "tty && echo yes")
    waiting.join()
    assert b"yes" in read_all(received[0])


def test_exec_forwards_signals(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "1000")
    name = runtime.start(made)
    script = "trap 'exit 9' TERM; touch /ready; while :; do sleep 0.01; done"
    with subprocess.Popen(runtime.command("exec", name, "sh", "-c", script)) as running:
        until((made.rootfs / "ready").exists)
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 9


def test_exec_into_a_paused_container_waits_if_told_to(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "1000")
    name = runtime.start(made)
    runtime("pause", name)
    command = runtime.command("exec", "--ignore-paused", name, "touch", "/done")
    with subprocess.Popen(command) as running:
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.3)
        assert not (made.rootfs / "done").exists()
        runtime("resume", name)
        assert running.wait(10) == 0
    assert (made.rootfs / "done").exists()


def sub_cgroup(made: Bundle, controller: str) -> Path:
    path: Path = Path("/sys/fs/cgroup") / controller / made.linux["cgroupsPath"][1:]
    if not path.is_dir():
        pytest.skip(f"no version 1 controller {controller} here")
    (path / "sub").mkdir()
    return path / "sub"


def test_exec_can_join_a_cgroup_below_the_containers(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "1000")
    name = runtime.start(made)
    below = sub_cgroup(made, "pids")
    runtime("exec", "--detach", "--cgroup", "pids:sub", name, "sleep", "500")
    assert len((below / "cgroup.procs").read_text().split()) == 1


def test_exec_cannot_leave_the_containers_cgroup(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    for path in ("..", "../..", "sub/../../other", "pids:.."):
        assert runtime.call("exec", "--cgroup", path, name, "true").status == 255


def test_capabilities_that_the_machine_lacks_are_a_warning_in_the_log(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    if "CAP_SYS_RESOURCE" in runtime("features").json()["linux"]["capabilities"]:
        pytest.skip("this machine grants CAP_SYS_RESOURCE")
    name = runtime.start(bundle("sleep", "1000"))
    log = tmp_path / "log.json"
    options = ["--log", str(log), "--log-format", "json"]
    result = runtime(*options, "exec", "--cap", "CAP_SYS_RESOURCE", name, "true")
    assert result.errors == ""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["level"] for line in lines} == {"warning"}
    assert any("CAP_SYS_RESOURCE" in line["msg"] for line in lines)


def test_what_is_done_to_all_whose_ids_match_is_crun_s(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "1000")
    names = sorted(runtime.start(made if not number else bundle("sleep", "1000")) for number in range(3))
    runtime("kill", "--regex", f"^({names[0]}|{names[1]})$", "KILL")
    until(lambda: [runtime.state(name)["status"] for name in names] == ["stopped", "stopped", "running"])
    result = runtime.call("delete", "--regex", "^orlop-test-")
    assert result.status == 1
    assert f"cannot delete container {names[2]} that is not stopped" in result.errors
    assert runtime("list", "--quiet").output.split() == names[2:]
    assert runtime.call("kill", "--regex", "(").status == 1


def test_the_configuration_can_have_another_name(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("echo", "here")
    (made.path / "config.json").rename(made.path / "other.json")
    assert runtime("run", "--config", "other.json", "--bundle", str(made.path), "x").output == "here\n"
    runtime("spec", "--bundle", str(made.path), "--file", "third.json")
    assert (made.path / "third.json").exists()
    assert "third.json exists" in runtime.call("spec", "--bundle", str(made.path), "--file", "third.json").errors


def test_options_of_crun_before_the_command_are_taken(runtime: Runtime, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert runtime.call("--cgroup-manager=cgroupfs", "--no-pivot", f"--log=file:{log}", "state", "nobody").status == 1
    assert "does not exist" in log.read_text()
    assert "must be one of cgroupfs, systemd" in runtime.call("--cgroup-manager", "x", "list").errors


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1}'])
def test_a_damaged_state_is_named_and_hides_no_other(text: str, runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.create(bundle("true"))
    (runtime.root / "damaged").mkdir()
    (runtime.root / "damaged/state.json").write_text(text)
    (runtime.root / "file").write_text("somebody else's")
    try:
        result = runtime("list", "--quiet")
        assert result.output.split() == [name]
        assert "damaged/state.json is damaged" in result.errors
        assert "damaged/state.json is damaged" in runtime.call("state", "damaged").errors
    finally:
        (runtime.root / "damaged/state.json").unlink()
        (runtime.root / "damaged").rmdir()
        (runtime.root / "file").unlink()
