"""What surrounds a container: descriptors, files, the keyring, what an interrupted runtime leaves, rare fields."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import REPOSITORY, unique_name
from tests.integration.runtime.containers import (
    add_mount,
    attempt,
    groups_of,
    map_ids,
    namespace,
    refused,
    run,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Bundle, BundleMaker, Runtime

HARMLESS = "raise SystemError('imported from the container')\n"


# descriptors


@pytest.fixture
def three_pipes() -> Iterator[list[int]]:
    """The read ends of three pipes, each with a line in it."""
    readers = []
    for number in range(3):
        reader, writer = os.pipe()
        os.write(writer, f"pipe {number}\n".encode())
        os.close(writer)
        readers.append(reader)
    yield readers
    for reader in readers:
        os.close(reader)


def with_descriptors(command: list[str], descriptors: list[int], **environment: str) -> subprocess.Popen[bytes]:
    """Start a command with these descriptors from 3 up."""

    def arrange() -> None:
        high = [os.dup(os.dup2(each, 100 + number)) for number, each in enumerate(descriptors)]
        for number, each in enumerate(high):
            os.dup2(each, 3 + number)
        for name, value in environment.items():
            os.environ[name] = value.replace("OWN_PID", str(os.getpid()))
        os.execvp(command[0], command)

    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, close_fds=False, preexec_fn=arrange)  # noqa: PLW1509


def test_preserved_descriptors_reach_the_program_and_others_do_not(
    runtime: Runtime, bundle: BundleMaker, three_pipes: list[int]
) -> None:
    made = bundle("sh", "-c", "cat <&3; cat <&4; ls /proc/self/fd")
    made.write()
    command = runtime.command("run", "--preserve-fds", "2", "--bundle", str(made.path), unique_name())
    output, errors = with_descriptors(command, three_pipes).communicate(timeout=30)
    assert output.decode().split("\n")[:2] == ["pipe 0", "pipe 1"], errors
    assert set(output.decode().split()[4:]) == {"0", "1", "2", "3", "4", "5"}  # 5 is ls's own


def test_preserved_descriptors_survive_until_the_start(
    runtime: Runtime, bundle: BundleMaker, three_pipes: list[int]
) -> None:
    made = bundle("sh", "-c", "cat <&3 > /said")
    made.write()
    name = unique_name()
    command = runtime.command("create", "--preserve-fds", "1", "--bundle", str(made.path), name)
    process = with_descriptors(command, three_pipes)
    assert process.wait(30) == 0
    runtime("start", name)
    until(lambda: runtime.state(name)["status"] == "stopped")
    assert (made.rootfs / "said").read_text() == "pipe 0\n"
    process.communicate()


def test_a_preserved_descriptor_that_is_not_open_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    result = attempt(runtime, made, "--preserve-fds", "50")
    assert result.status == 1
    assert "--preserve-fds" in result.errors


def test_preserved_descriptors_come_through_a_sealed_interpreter(
    runtime: Runtime, bundle: BundleMaker, three_pipes: list[int]
) -> None:
    holder = runtime.state(runtime.start(bundle("sleep", "1000")))["pid"]
    made = bundle("sh", "-c", "cat <&3; cat <&4; echo $LISTEN_FDS")
    namespace(made, "pid", f"/proc/{holder}/ns/pid")  # joining others' processes executes the runtime anew
    made.write()
    command = runtime.command("run", "--preserve-fds", "1", "--bundle", str(made.path), unique_name())
    process = with_descriptors(command, three_pipes, LISTEN_FDS="1", LISTEN_PID="OWN_PID")
    output, errors = process.communicate(timeout=30)
    assert output.decode().splitlines() == ["pipe 0", "pipe 1", "1"], errors


def test_exec_preserves_descriptors_too(runtime: Runtime, bundle: BundleMaker, three_pipes: list[int]) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    command = runtime.command("exec", "--preserve-fds", "2", name, "sh", "-c", "cat <&3; cat <&4; ls /proc/self/fd")
    output, errors = with_descriptors(command, three_pipes).communicate(timeout=30)
    assert output.decode().split("\n")[:2] == ["pipe 0", "pipe 1"], errors
    assert set(output.decode().split()[4:]) == {"0", "1", "2", "3", "4", "5"}


def test_sockets_of_socket_activation_are_passed_on(
    runtime: Runtime, bundle: BundleMaker, three_pipes: list[int]
) -> None:
    made = bundle("sh", "-c", "echo $LISTEN_FDS $LISTEN_PID $$; cat <&3; cat <&4")
    made.write()
    command = runtime.command("run", "--bundle", str(made.path), unique_name())
    process = with_descriptors(command, three_pipes, LISTEN_FDS="2", LISTEN_PID="OWN_PID")
    output, errors = process.communicate(timeout=30)
    assert output.decode().splitlines() == ["2 1 1", "pipe 0", "pipe 1"], errors


def test_preserved_descriptors_follow_those_of_socket_activation(
    runtime: Runtime, bundle: BundleMaker, three_pipes: list[int]
) -> None:
    made = bundle("sh", "-c", "cat <&3; cat <&4; cat <&5")
    made.write()
    command = runtime.command("run", "--preserve-fds", "1", "--bundle", str(made.path), unique_name())
    process = with_descriptors(command, three_pipes, LISTEN_FDS="2", LISTEN_PID="OWN_PID")
    output, errors = process.communicate(timeout=30)
    assert output.decode().splitlines() == ["pipe 0", "pipe 1", "pipe 2"], errors


def test_sockets_meant_for_another_process_are_not_passed_on(
    runtime: Runtime, bundle: BundleMaker, three_pipes: list[int]
) -> None:
    made = bundle("sh", "-c", "echo $LISTEN_FDS; ls /proc/self/fd")
    made.write()
    command = runtime.command("run", "--bundle", str(made.path), unique_name())
    output, _ = with_descriptors(command, three_pipes, LISTEN_FDS="2", LISTEN_PID="1").communicate(timeout=30)
    assert output.decode().split() == ["0", "1", "2", "3"]


# files and options


def test_the_pid_file_holds_the_init_process(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    made = bundle("sleep", "100")
    name = unique_name()
    runtime("run", "-d", "--bundle", str(made.path), "--pid-file", "pid", name, cwd=tmp_path)
    assert (tmp_path / "pid").read_text() == str(runtime.state(name)["pid"])
    assert os.listdir(tmp_path).count("pid") == 1


def test_a_pidfd_of_the_process_goes_to_who_asked(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    made = bundle("sleep", "1000")
    name = unique_name()

    def sent_by(*words: str) -> tuple[bytes, int]:
        path = tmp_path / "listener"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            runtime(words[0], "--pidfd-socket", str(path), *words[1:])
            path.unlink()
            connection, _ = listener.accept()
            with connection:
                text, [descriptor], _, _ = socket.recv_fds(connection, 64, 1)
        return text, descriptor

    for words, said in (
        (["create", "--bundle", str(made.path), name], b"standard"),
        (["exec", "--detach", name, "sleep", "1000"], b"setns"),
    ):
        text, descriptor = sent_by(*words)
        pids = runtime("ps", "--format", "json", name).json()
        pid = int(Path(f"/proc/self/fdinfo/{descriptor}").read_text().split("\nPid:")[1].split()[0])
        os.close(descriptor)
        assert text == said
        assert pid in pids
        assert (pid == runtime.state(name)["pid"]) == (said == b"standard")


def test_a_pidfd_that_nobody_takes_is_an_error_that_leaves_nothing(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "1000")
    made.write()
    result = runtime.call("run", "-d", "--bundle", str(made.path), "--pidfd-socket", "/nonexistent", unique_name())
    assert result.status == 1
    assert "send pidfd to /nonexistent: no such file or directory" in result.errors
    assert os.listdir(runtime.root) == []


def test_a_container_without_a_process_can_be_created_and_not_started(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle()
    del made.config["process"]
    made.write()
    name = runtime.create(made)
    result = runtime.call("start", name)
    assert result.status == 1
    assert "no process" in result.errors
    assert runtime.state(name)["status"] == "created"
    runtime("delete", name)
    refused(runtime, made, "process is required")


def test_a_pid_file_that_cannot_be_written_leaves_nothing(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    result = runtime.call("create", "--bundle", str(made.path), "--pid-file", "/no/where/pid", unique_name())
    assert result.status == 1
    assert "write /no/where/pid: " in result.errors
    assert "no such file or directory" in result.errors
    assert runtime("list", "-q").output == ""
    assert groups_of(made.linux["cgroupsPath"].strip("/")) == []


def test_keep_keeps_the_stopped_container(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "exit 3")
    name = unique_name()
    assert runtime.call("run", "--keep", "--bundle", str(made.path), name).status == 3
    assert runtime.state(name)["status"] == "stopped"
    runtime("delete", name)


def test_a_detached_container_outlives_the_runtime(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "100"))
    assert runtime.state(name)["status"] == "running"


@pytest.mark.parametrize(("options", "has_one"), [([], True), (["--no-new-keyring"], False)])
def test_the_program_gets_a_session_keyring_of_its_own_unless_told_otherwise(
    options: list[str], has_one: bool, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("cat", "/proc/keys")
    made.linux["maskedPaths"] = []
    made.write()
    name = unique_name()
    said = runtime("run", *options, "--bundle", str(made.path), name).output
    assert (f"_ses.{name}" in said) == has_one


def test_annotations_are_in_the_state(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    made.config["annotations"] = {"a": "", "org.example/key": "välue"}
    made.write()
    assert runtime.state(runtime.start(made))["annotations"] == made.config["annotations"]


# rare fields of `linux`


def test_the_personality_is_the_configured_one(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("uname", "-m")
    native = run(runtime, made)
    made.linux["personality"] = {"domain": "LINUX32"}
    assert run(runtime, made) == {"x86_64\n": "i686\n", "aarch64\n": "armv8l\n"}.get(native, native)
    made.linux["personality"] = {"domain": "LINUX"}
    assert run(runtime, made) == native


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        ({"mode": "MPOL_INTERLEAVE", "nodes": "0"}, "interleave:0"),
        ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}, "bind=static:0"),
        ({"mode": "MPOL_PREFERRED", "nodes": "0"}, "prefer:0"),
        ({"mode": "MPOL_LOCAL"}, "local"),
        ({"mode": "MPOL_DEFAULT"}, "default"),
    ],
)
def test_the_memory_policy_is_the_configured_one(
    policy: dict[str, Any], shown: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    if not os.path.exists("/proc/self/numa_maps"):
        pytest.skip("this kernel knows no memory nodes")
    made = bundle("cat", "/proc/self/numa_maps")
    made.linux["memoryPolicy"] = policy
    assert shown in {line.split()[1] for line in run(runtime, made).splitlines()}


def test_a_memory_node_that_does_not_exist_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "63"}
    refused(runtime, made, "set memory policy MPOL_BIND: ", "invalid argument")


def test_intel_rdt_is_refused_without_resctrl(runtime: Runtime, bundle: BundleMaker) -> None:
    if " - resctrl " in Path("/proc/self/mountinfo").read_text():
        pytest.skip("this machine has resctrl mounted")
    made = bundle("true")
    made.linux["intelRdt"] = {"l3CacheSchema": "L3:0=f"}
    refused(runtime, made, "linux.intelRdt", "no resctrl file system is mounted")


def test_an_unknown_field_is_ignored(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.config["unheardOf"] = {"a": 1}
    made.linux["unheardOf"] = True
    run(runtime, made)


# nothing of the container is run with the runtime's rights


def test_no_module_is_imported_from_the_container(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100", scheduler={"policy": "SCHED_BATCH"}, ioPriority={"class": "IOPRIO_CLASS_BE"})
    source = REPOSITORY / "src"
    for module in source.rglob("*.py"):
        hostile = Path(f"{made.rootfs}{REPOSITORY}/bin/../src/{module.relative_to(source)}")
        hostile.parent.mkdir(parents=True, exist_ok=True)
        hostile.write_text(HARMLESS)
    for name in ("json", "re", "typing", "traceback", "linecache", "encodings.idna", "pwd", "socket", "subprocess"):
        for library in (os.__file__.rpartition("/")[0],):
            hostile = Path(f"{made.rootfs}{library}/{name.replace('.', '/')}.py")
            hostile.parent.mkdir(parents=True, exist_ok=True)
            hostile.write_text(HARMLESS)
    made.linux.update(personality={"domain": "LINUX"}, memoryPolicy={"mode": "MPOL_LOCAL"})
    made.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}],
    }
    made.config["hooks"] = {"startContainer": [{"path": "/bin/true"}]}
    made.write()
    name = runtime.start(made)
    process = {**made.process, "args": ["true"], "execCPUAffinity": {"final": "0"}}
    (made.path / "process.json").write_text(json.dumps(process))
    runtime("exec", "--process", str(made.path / "process.json"), name)
    result = runtime.call("exec", name, "/no/such/program")
    assert "imported from the container" not in result.errors
    made.process["args"] = ["/no/such/program"]
    assert "imported from the container" not in attempt(runtime, made).errors


# an interrupted runtime


def complicated(bundle: Bundle, variant: str) -> Bundle:
    """A container that takes many steps to make."""
    if variant == "user":
        map_ids(bundle)
    if variant == "staged":
        namespace(bundle, "time")
        bundle.linux["timeOffsets"] = {"boottime": {"secs": 5}}
    if variant == "staged user":
        map_ids(bundle)
        namespace(bundle, "time")
        bundle.linux["timeOffsets"] = {"boottime": {"secs": 5}}
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/true"}], "createContainer": [{"path": "/bin/true"}]}
    bundle.linux["resources"]["pids"] = {"limit": 100}
    add_mount(bundle, "/tmp", "tmpfs", "tmpfs")
    bundle.write()
    return bundle


def processes_of(bundle: Bundle) -> list[int]:
    """Processes that are somehow about the bundle: in its cgroup, or told its path."""
    found = set()
    for group in groups_of(bundle.linux["cgroupsPath"].strip("/")):
        file = group / "cgroup.procs"
        found |= {int(pid) for pid in file.read_text().split()}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(bundle.path) in entry.read_bytes().decode(errors="replace"):
                found.add(int(entry.parent.name))
        except OSError:
            continue
    return sorted(found)


@pytest.mark.parametrize("variant", ["plain", "user", "staged", "staged user"])
def test_a_killed_create_leaves_nothing_that_delete_does_not_clear(
    variant: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = complicated(bundle("sleep", "100"), variant)
    began = time.monotonic()
    name = runtime.create(made)
    whole = time.monotonic() - began
    runtime("delete", "--force", name)
    steps = 10
    for number in range(steps):
        name = unique_name()
        with open(os.devnull, "wb") as nothing:
            process = subprocess.Popen(
                runtime.command("create", "--bundle", str(made.path), name), stdout=nothing, stderr=nothing
            )
            time.sleep(whole * (0.2 + 0.8 * number / steps))  # a moment, not an event, is what is tried here
            process.send_signal(signal.SIGKILL)
            process.wait()
        runtime("delete", "--force", name)
        until(lambda: processes_of(made) == [])
        assert groups_of(made.linux["cgroupsPath"].strip("/")) == []
        assert not (runtime.root / name).exists()


@pytest.mark.parametrize("variant", ["plain", "staged user"])
def test_a_killed_create_can_be_repeated(variant: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = complicated(bundle("sleep", "100"), variant)
    began = time.monotonic()
    name = runtime.create(made)
    whole = time.monotonic() - began
    runtime("delete", "--force", name)
    for part in (0.4, 0.55, 0.7, 0.8, 0.9):
        name = unique_name()
        with open(os.devnull, "wb") as nothing:
            process = subprocess.Popen(
                runtime.command("create", "--bundle", str(made.path), name), stdout=nothing, stderr=nothing
            )
            time.sleep(whole * part)
            process.send_signal(signal.SIGKILL)
            process.wait()
        again = runtime.call("create", "--bundle", str(made.path), name)
        if again.status != 0:
            assert "already exists" in again.errors, again
            assert runtime.state(name)["status"] == "created"
        runtime("start", name)
        runtime("delete", "--force", name)
        until(lambda: processes_of(made) == [])


# failures


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda made: add_mount(made, "/data", "tmpfs", "tmpfs", "size=nonsense"),
            "mount tmpfs on /data: tmpfs: fsconfig size=nonsense: invalid argument",
        ),
        (
            lambda made: add_mount(made, "/etc/passwd/x", "tmpfs", "tmpfs"),
            "mount tmpfs on /etc/passwd/x: openat2: not a directory",
        ),
        (
            lambda made: add_mount(made, "/data", "overlay", "overlay", "lowerdir=/nonexistent"),
            "mount overlay on /data: overlay: fsconfig ",
        ),
        (
            lambda made: made.process.update(scheduler={"policy": "SCHED_DEADLINE", "runtime": 1, "period": 1}),
            "set scheduler SCHED_DEADLINE: sched_setattr SCHED_DEADLINE: invalid argument",
        ),
        (lambda made: made.linux["namespaces"].append({"type": "pid"}), "linux.namespaces lists pid twice"),
        (lambda made: made.process.update(user={"uid": 1 << 33, "gid": 0}), "process.user.uid must be from 0 to"),
        (lambda made: made.config.update(process=[]), "process must be an object"),
    ],
)
def test_every_failure_is_one_line_with_step_path_and_reason(
    change: Callable[[Bundle], None], words: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("true")
    change(made)
    refused(runtime, made, words)
    assert groups_of(made.path.name) == []


def test_a_failure_is_logged_as_json_when_asked_for(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("nosuch")
    log = made.path / "log.json"
    result = runtime.call(
        "--log", str(log), "--log-format", "json", "create", "--bundle", str(made.path), unique_name()
    )
    assert result.status == 1
    [entry] = [json.loads(text) for text in log.read_text().splitlines()]
    assert entry["level"] == "error"
    assert 'exec: "nosuch": executable file not found in $PATH' in entry["msg"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "ü", "x" * 1100])
def test_an_id_that_is_no_name_is_refused(name: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    assert runtime.call("run", "--bundle", str(made.path), name).status == 1


def test_an_id_that_is_taken_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    name = runtime.start(made)
    other = bundle("true")
    result = runtime.call("run", "--bundle", str(other.path), name)
    assert result.status == 1
    assert "already exists" in result.errors
    assert runtime.state(name)["status"] == "running"


def test_a_bundle_without_a_configuration_is_named(runtime: Runtime, tmp_path: Path) -> None:
    result = runtime.call("run", "--bundle", str(tmp_path), unique_name())
    assert result.status == 1
    assert "config.json" in result.errors
