"""CVE-2024-21626: a descriptor of a directory of the host leaks into the container, or serves as its working directory.

The caller here has left one open, and not close-on-exec, as a careless engine would.
"""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.security import hostile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Bundle, BundleMaker, Runtime

#: Prints the shell's descriptors above standard error, with nothing but what is built into it.
LIST = "for fd in $(seq 3 99); do if [ -e /proc/$$/fd/$fd ]; then echo $fd; fi; done"


@pytest.fixture
def leaked(tmp_path: Path) -> Iterator[int]:
    """A descriptor of the host's directory with a secret in it, which children inherit."""
    (tmp_path / "secret").write_text("the host's")
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_cve_2024_21626_run_passes_no_descriptor_on(runtime: Runtime, bundle: BundleMaker, leaked: int) -> None:
    made = bundle("sh", "-c", LIST)
    result = hostile.attempt(runtime, made, pass_fds=[leaked])
    assert (result.status, result.output) == (0, "")


def test_cve_2024_21626_create_and_start_pass_no_descriptor_on(
    runtime: Runtime, bundle: BundleMaker, leaked: int
) -> None:
    made = bundle("sh", "-c", f"exec > /list; {LIST}; mv /list /result; sleep 100")
    made.write()
    name = "created"
    runtime("create", "--bundle", str(made.path), name, pass_fds=[leaked])
    runtime("start", name, pass_fds=[leaked])
    assert hostile.text_of(made.rootfs / "result") == ""


def test_cve_2024_21626_exec_passes_no_descriptor_on(runtime: Runtime, bundle: BundleMaker, leaked: int) -> None:
    name = hostile.start(runtime, bundle("sleep", "100"))
    result = runtime("exec", name, "sh", "-c", LIST, pass_fds=[leaked])
    assert result.output == ""


def test_cve_2024_21626_only_what_is_asked_for_is_preserved(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", LIST)
    command = runtime.command("run", "--bundle", str(made.path), "--preserve-fds", "1", "preserving")
    # Descriptor 3 is meant for the container, 4 and 5 are not.
    shell = ["/bin/sh", "-c", 'exec 3<"$0" 4<"$0" 5<"$0"; exec "$@"', str(made.path / "config.json")]
    done = subprocess.run([*shell, *command], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3"]


@pytest.mark.parametrize("suffix", ["", "/.."])
def test_cve_2024_21626_no_working_directory_is_outside_in_run(
    runtime: Runtime, bundle: BundleMaker, leaked: int, suffix: str
) -> None:
    for number in (*range(3, 9), leaked):
        made = bundle("cat", "secret", cwd=f"/proc/self/fd/{number}{suffix}")
        result = hostile.attempt(runtime, made, pass_fds=[leaked])
        assert result.status != 0
        assert "the host's" not in result.output


def test_cve_2024_21626_no_working_directory_is_outside_in_exec(
    runtime: Runtime, bundle: BundleMaker, leaked: int
) -> None:
    name = hostile.start(runtime, bundle("sleep", "100"))
    for number in (*range(3, 9), leaked):
        for target in (f"/proc/self/fd/{number}", f"/proc/thread-self/fd/{number}/.."):
            result = runtime.call("exec", "--cwd", target, name, "cat", "secret", pass_fds=[leaked])
            assert result.status == 255
            assert "the host's" not in result.output


def test_cve_2024_21626_a_link_to_a_descriptor_is_no_working_directory(
    runtime: Runtime, bundle: BundleMaker, leaked: int
) -> None:
    made = bundle("sleep", "100")
    for number in (*range(3, 9), leaked):
        (made.rootfs / f"way{number}").symlink_to(f"/proc/self/fd/{number}")
    name = hostile.start(runtime, made)
    for number in (*range(3, 9), leaked):
        result = runtime.call("exec", "--cwd", f"/way{number}", name, "cat", "secret", pass_fds=[leaked])
        assert (result.status, result.output) == (255, "")


def test_cve_2024_21626_the_program_itself_is_not_found_through_a_descriptor(
    runtime: Runtime, bundle: BundleMaker, leaked: int, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/busybox").read_bytes())
    program.chmod(0o755)
    name = hostile.start(runtime, bundle("sleep", "100"))
    for number in (*range(3, 9), leaked):
        path = f"/proc/self/fd/{number}/program"
        assert runtime.call("exec", name, path, "echo", "ran", pass_fds=[leaked]).output == ""
        made = bundle(path, "echo", "ran")
        assert hostile.attempt(runtime, made, pass_fds=[leaked]).output == ""


def test_cve_2024_21626_the_working_directory_has_a_name_in_the_container(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("sh", "-c", "pwd; readlink /proc/self/cwd", cwd="/made/for/this")
    assert hostile.output(runtime, made).split() == ["/made/for/this", "/made/for/this"]


def test_cve_2024_21626_a_directory_that_is_moved_away_is_no_working_directory(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    """A volume's directory goes back and forth between the volume and the host's directory beside it."""
    volume = tmp_path / "volume"
    (volume / "in/deep").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "secret").write_text("the host's")
    made = bundle("sleep", "100")
    hostile.bind(made, volume, "/volume")
    name = hostile.start(runtime, made)
    with hostile.racing((volume / "in", outside)):
        for _ in range(20):
            shell = "cat ../../secret ../../../secret; pwd"
            result = runtime.call("exec", "--cwd", "/volume/in/deep", name, "sh", "-c", shell)
            assert "the host's" not in result.output


def hook_list(made: Bundle, stage: str, tmp_path: Path) -> Path:
    """Add a hook that leaves a list of its descriptors, and return where."""
    seen = made.rootfs / "seen" if stage == "startContainer" else tmp_path / stage
    inside = "/seen" if stage == "startContainer" else str(seen)
    hook = {
        "path": "/bin/sh",
        "args": ["sh", "-c", f"exec > {inside}.part; {LIST}; mv {inside}.part {inside}"],
        "env": ["PATH=/bin:/usr/bin"],
    }
    made.config.setdefault("hooks", {})[stage] = [hook]
    return seen


def test_hooks_inherit_no_descriptors(runtime: Runtime, bundle: BundleMaker, leaked: int, tmp_path: Path) -> None:
    made = bundle("true")
    stages = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
    seen = {stage: hook_list(made, stage, tmp_path) for stage in stages}
    result = hostile.attempt(runtime, made, pass_fds=[leaked])
    assert result.status == 0, result
    for stage, path in seen.items():
        assert path.read_text() == "", stage


def test_services_of_the_caller_are_out_of_reach(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    """NOTIFY_SOCKET and LISTEN_FDS are the caller's own business with its service manager: a container gets a socket of its own."""
    manager = tmp_path / "manager"
    environment = {**os.environ, "NOTIFY_SOCKET": str(manager), "LISTEN_FDS": "1", "LISTEN_PID": "1", "SECRET": "x"}
    usual = {"PATH", "HOME", "HOSTNAME", "PWD", "SHLVL"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(manager))
        said = hostile.output(runtime, bundle("env"), env=environment)
    passed = dict(line.split("=", 1) for line in said.splitlines())
    assert passed.pop("NOTIFY_SOCKET") == "/run/notify/notify.sock"
    assert passed.keys() <= usual
    name = hostile.start(runtime, bundle("sleep", "100"))
    said = runtime("exec", name, "env", env=environment).output
    assert {line.partition("=")[0] for line in said.split()} <= usual
