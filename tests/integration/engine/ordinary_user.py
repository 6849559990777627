"""An engine of an ordinary user, for tests that root runs.

The user is known in a mount namespace of the test's own only, whose /etc/passwd and /etc/subuid name it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import busybox_root
from tests.integration.engine.conftest import ORLOP, Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "orlop-engine"
UID = 7790
SUBORDINATE = 4_000_000

#: What the user's mount namespace is told before it serves: each file over the machine's own.
_PREPARE = """
for file in passwd group subuid subgid; do mount --bind "$1/$file" "/etc/$file" || exit 1; done
echo ready
exec sleep 100000
"""


@contextmanager
def make_engine(name: str, *, ranges: bool) -> Iterator[Engine]:
    """The engine of a user to whom the administrator gave ``ranges`` of subordinate ids, or none."""
    if shutil.which("newuidmap") is None:
        pytest.skip("needs newuidmap (Debian's uidmap)")
    directory = Path(f"/var/tmp/orlop-user-{os.getpid()}-{name}-{ranges}")
    directory.mkdir(mode=0o755)
    files = directory / "etc"
    files.mkdir()
    (files / "passwd").write_text(Path("/etc/passwd").read_text() + f"{USER}:x:{UID}:{UID}::{directory}/home:/bin/sh\n")
    (files / "group").write_text(Path("/etc/group").read_text() + f"{USER}:x:{UID}:\n")
    for file in ("subuid", "subgid"):
        (files / file).write_text(f"{USER}:{SUBORDINATE}:65536\n" if ranges else "")
    for below in ("home", "home/state", "home/run"):
        (directory / below).mkdir()
    busybox_root(directory / "home/rootfs")
    (directory / "home/rootfs/tmp").chmod(0o1777)
    subprocess.run(["chown", "-hR", f"{UID}:{UID}", directory / "home"], check=True)
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _PREPARE, "sh", files], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        prefix = (
            "nsenter", f"--mount=/proc/{holder.pid}/ns/mnt",
            "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all",
            "env", "-i", f"HOME={directory}/home", "PATH=/usr/local/bin:/usr/bin:/bin",
        )  # fmt: skip
        if subprocess.run([*prefix, ORLOP, "--version"], capture_output=True, check=False).returncode:
            pytest.skip(f"an ordinary user cannot run {ORLOP}")
        engine = Engine(directory / "home/state", directory / "home/rootfs", prefix)
        assert engine.run("true").code == 0
        yield engine
        engine.close()
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
        shutil.rmtree(directory)
