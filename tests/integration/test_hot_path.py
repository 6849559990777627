"""What the commands that start a container import when they really do, inside functions too."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import REPOSITORY, busybox_root, unique_name
from tests.integration.engine.conftest import Engine
from tests.integration.engine.image_maker import make
from tests.unit.test_hot_path_imports import ALLOWED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import BundleMaker, Runtime

#: Loaded by the programs in bin/ and by Python as it starts.
STARTED_WITH = {"gc", "sys", *sys.builtin_module_names}


def imported_by(program: str, *words: str) -> set[str]:
    """The modules, not our own, that a command and the processes it forks import until it ends.

    ``-X importtime`` prints each import to standard error, as `import time: SELF | CUMULATIVE | NAME`.
    """

    def names(*arguments: str) -> set[str]:
        # A file, since what a container inherits of a pipe would not end before the container.
        with tempfile.TemporaryFile("w+") as output:
            command = [sys.executable, "-I", "-S", "-X", "importtime", *arguments]
            result = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, timeout=60
            )
            output.seek(0)
            text = output.read()
        assert result.returncode == 0, text
        lines = [line for line in text.splitlines() if line.startswith("import time:")]
        return {line.rpartition("|")[2].strip() for line in lines}

    bare = names("-c", "")
    found = names(str(REPOSITORY / "bin" / program), *words) - bare - STARTED_WITH
    ours = {name for name in found if name.partition(".")[0] == "orlop"}
    assert ours, "it imported nothing of orlop"
    return found - ours


def test_running_a_bundle_imports_only_what_is_cheap(bundle: BundleMaker, runtime: Runtime) -> None:
    made = bundle("true")
    command = ["--root", str(runtime.root), "run", "--bundle", str(made.path), unique_name()]
    assert imported_by("orlop-runtime", *command) <= ALLOWED


def test_creating_a_container_imports_only_what_is_cheap(bundle: BundleMaker, runtime: Runtime) -> None:
    made = bundle("true")
    command = ["--root", str(runtime.root), "create", "--bundle", str(made.path), unique_name()]
    assert imported_by("orlop-runtime", *command) <= ALLOWED


def test_starting_a_container_imports_only_what_is_cheap(bundle: BundleMaker, runtime: Runtime) -> None:
    name = runtime.create(bundle("true"))
    assert imported_by("orlop-runtime", "--root", str(runtime.root), "start", name) <= ALLOWED


def test_executing_in_a_container_imports_only_what_is_cheap(bundle: BundleMaker, runtime: Runtime) -> None:
    name = runtime.start(bundle("sleep", "60"))
    assert imported_by("orlop-runtime", "--root", str(runtime.root), "exec", name, "true") <= ALLOWED


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[list[str]]:
    """The options of an engine of the test's own, whose launcher is ended after it."""
    yield ["--root", str(tmp_path / "root"), "--run-root", str(tmp_path / "run")]
    path = tmp_path / "run" / "launcher.sock"
    deadline = time.monotonic() + 10
    while not path.exists():  # a launcher gets ready behind the back of the command that left it
        assert time.monotonic() < deadline, "the command left no launcher"
        time.sleep(0.01)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(path))
        pid = int.from_bytes(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)
        handle = os.pidfd_open(pid)
        signal.pidfd_send_signal(handle, signal.SIGTERM)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    assert poll.poll(10_000), "the launcher does not end on SIGTERM"
    os.close(handle)


def test_orlop_run_imports_only_what_is_cheap(tmp_path: Path, engine: list[str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: a container is made for real")
    busybox_root(tmp_path / "rootfs")
    words = [*engine, "run", "--rm", "--network", "none", "--rootfs", str(tmp_path / "rootfs"), "true"]
    assert imported_by("orlop", *words) <= ALLOWED


def test_running_an_image_imports_only_what_is_cheap(tmp_path: Path, engine: list[str]) -> None:
    """Without a launcher, so that the command itself and its children do everything."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a container is made for real")
    make(Engine(tmp_path, tmp_path), "plain:latest", config={"Cmd": ["true"], "Env": ["PATH=/bin"], "User": "web"})
    assert imported_by("orlop", *engine, "run", "--rm", "--network", "none", "plain") <= ALLOWED
