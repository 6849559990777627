"""The tests of snapshots once more, as root of a user namespace, where an ordinary user's snapshots are handled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from orlop.linux import credentials, namespace

from .conftest import ROOTLESS

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
FIRST_ID = 300_000
IDS = [{"containerID": 0, "hostID": FIRST_ID, "size": 65536}]


def enter(ready: int, go: int) -> None:
    """Become root of a new user namespace whose ids the parent maps."""
    namespace.unshare(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS)
    os.write(ready, b"1")
    os.read(go, 1)
    os.setgroups([])
    credentials.set_group(0)
    credentials.set_user(0)


@pytest.mark.skipif(ROOTLESS or os.geteuid() != 0, reason="needs root outside of a user namespace, to map ids")
def test_all_drivers_keep_their_promises_in_a_user_namespace(btrfs: Path) -> None:
    base = tempfile.mkdtemp(prefix="orlop-rootless-")
    shared = btrfs / "rootless"
    shared.mkdir()
    for directory in (base, shared):
        os.chown(directory, FIRST_ID, FIRST_ID)
    quick = "not hundreds_of and not more_layers and not 300"
    modules = [
        HERE / f"test_{name}.py" for name in ("snapshots", "provisional_snapshots", "overlay", "choice", "trees")
    ]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        f"--basetemp={base}/pytest",
        "-k",
        quick,
        *modules,
    ]
    environment = {
        **os.environ,
        "ORLOP_TEST_ROOTLESS": "1",
        "ORLOP_TEST_BTRFS": str(shared),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ready_reader, ready_writer = os.pipe()
    go_reader, go_writer = os.pipe()
    try:
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                try:
                    enter(ready_writer, go_reader)
                    os.dup2(output.fileno(), 1)
                    os.dup2(output.fileno(), 2)
                    os.chdir(REPOSITORY)
                    os.execve(sys.executable, list(map(str, command)), environment)
                finally:
                    os._exit(1)
            assert os.read(ready_reader, 1) == b"1"
            namespace.map_users(child, IDS, IDS, privileged=True)
            os.write(go_writer, b"1")
            _, status = os.waitpid(child, 0)
            output.seek(0)
            said = output.read().decode()
        assert status == 0, said
        assert "SKIPPED" not in said
    finally:
        for descriptor in (ready_reader, ready_writer, go_reader, go_writer):
            os.close(descriptor)
        subprocess.run(["find", base, "-type", "d", "-exec", "chmod", "u+rwx", "{}", "+"], check=True)
        shutil.rmtree(base)
