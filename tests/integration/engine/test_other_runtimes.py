"""``--runtime runc`` and ``--runtime crun``: other OCI runtimes start the same bundles, and every command works."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import Engine, wait_until
from tests.integration.engine.image_maker import make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module", params=["runc", "crun"])
def foreign(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, rootfs: Path
) -> Iterator[tuple[Engine, str]]:
    """An engine with an image, and a runtime's path."""
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"needs {request.param} (Debian's {request.param})")
    if request.param == "crun" and os.path.ismount("/sys/fs/cgroup/unified"):
        # It refuses machines with both versions of control groups: it gets to see one.
        wrapper = tmp_path_factory.mktemp("crun") / "crun"
        inner = f'umount -l /sys/fs/cgroup/unified && exec {program} "$@"'
        wrapper.write_text(f"#!/bin/sh\nexec unshare -m --propagation slave sh -c '{inner}' crun \"$@\"\n")
        wrapper.chmod(0o755)
        program = str(wrapper)
    engine = Engine(tmp_path_factory.mktemp("engine"), rootfs)
    make(engine, "plain:latest")
    yield engine, program
    engine.close()


def test_a_container_has_its_image_its_limits_and_its_exit_code(foreign: tuple[Engine, str]) -> None:
    engine, runtime = foreign
    words = ("--runtime", runtime, "--ulimit", "nofile=99", "-e", "A=1", "-u", "1000:1000", "-v", "kept:/d", "--init")
    script = "ulimit -n; echo $A; id -u; ls /etc/hosts; grep -c ' /d ' /proc/mounts; echo oops >&2; exit 4"
    result = engine("run", "--rm", *words, "plain", "sh", "-c", script)
    assert (result.code, result.out, result.err) == (4, "99\n1\n1000\n/etc/hosts\n1\n", "oops\n")
    engine.ok("run", "--rm", "-v", "kept:/d", "plain", "sh", "-c", "mkdir /d/sub; echo part > /d/sub/x")
    part = ("--mount", "type=volume,src=kept,dst=/p,volume-subpath=sub")
    assert engine.ok("run", "--rm", "--runtime", runtime, *part, "plain", "cat", "/p/x") == "part\n"
    wait_until(lambda: not engine.containers(), "the end of clearing away")
    engine.ok("volume", "rm", "kept")


def test_input_and_terminals_reach_it(foreign: tuple[Engine, str]) -> None:
    engine, runtime = foreign
    assert engine("run", "--rm", "-i", "--runtime", runtime, "plain", "cat", given=b"hello").out == "hello"
    assert engine("run", "--rm", "-t", "--runtime", runtime, "plain", "tty").out == "/dev/pts/0\r\n"


def test_a_program_that_cannot_be_run_is_told_by_the_exit_code(foreign: tuple[Engine, str]) -> None:
    engine, runtime = foreign
    missing = engine("run", "--rm", "--runtime", runtime, "plain", "no-such-program")
    assert (missing.code, missing.err.count("\n")) == (127, 1)
    assert "no-such-program" in missing.err
    assert engine("run", "--rm", "--runtime", runtime, "plain", "/etc/passwd").code == 126
    wait_until(lambda: not engine.containers(), "the end of clearing away")


def test_everything_can_be_done_to_it(foreign: tuple[Engine, str]) -> None:
    engine, runtime = foreign
    script = "trap 'exit 7' TERM; while :; do sleep 0.05; done"
    made = engine.ok("run", "-d", "--name", "foreign", "--runtime", runtime, "plain", "sh", "-c", script).strip()
    assert engine.inspect("foreign")["HostConfig"]["Runtime"] == runtime
    assert engine.ok("exec", "foreign", "cat", "/proc/1/comm") == "sh\n"
    engine.ok("pause", "foreign")
    assert engine.state("foreign")["Status"] == "paused"
    engine.ok("unpause", "foreign")
    assert "trap" in engine.ok("top", "foreign")
    engine.ok("stop", "foreign")
    assert engine.state("foreign")["ExitCode"] == 7
    engine.ok("start", "foreign")
    engine.ok("kill", "foreign")
    assert wait_until(lambda: engine.state("foreign")["ExitCode"] == 137, "the end")
    engine.ok("rm", "foreign")
    assert os.listdir(engine.run_root / "runtimes" / os.path.basename(runtime)) == []
    assert not (engine.run_root / "extras" / made).exists()
    assert (
        subprocess.run(["find", "/sys/fs/cgroup", "-name", made], capture_output=True, text=True, check=False).stdout
        == ""
    )


def test_namespaces_are_shared_across_runtimes(foreign: tuple[Engine, str]) -> None:
    engine, runtime = foreign
    engine.ok("run", "-d", "--name", "donor", "--ipc", "shareable", "plain", "sleep", "600")
    theirs = engine.ok("exec", "donor", "readlink", "/proc/self/ns/net")
    words = ("--network", "container:donor", "--ipc", "container:donor", "--runtime", runtime)
    assert engine.ok("run", "--rm", *words, "plain", "readlink", "/proc/self/ns/net") == theirs
    engine.ok("rm", "-f", "donor")


def test_an_ordinary_user_is_told_that_it_takes_root(owner: Engine) -> None:
    if not owner.prefix:
        pytest.skip("this is about an ordinary user's engine")
    if shutil.which("runc") is None:
        pytest.skip("needs runc")
    result = owner("run", "--rm", "--runtime", "runc", "plain", "true")
    assert (result.code, "ordinary user" in result.err, result.err.count("\n")) == (125, True, 1)
