"""Debian's dockerd, to compare with: on a machine of its own, with nothing of the host's but the kernel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from typing import TYPE_CHECKING

from bench.engines import remove_cgroups
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from pathlib import Path

#: What runs first in the machine's namespaces: it ends with whoever waits for it, and everything else with it.
_INIT = """
set -e
ip link set lo up
containerd --config "$1/containerd.toml" --root "$1/containerd" --state "$1/containerd-state" \\
    --address "$1/containerd.sock" >>"$1/log" 2>&1 &
while [ ! -S "$1/containerd.sock" ]; do sleep 0.02; done
dockerd --host "unix://$2" --containerd "$1/containerd.sock" --pidfile "$1/pid" --data-root "$1/data" \\
    --exec-root "$1/exec" --config-file "$1/daemon.json" --cgroup-parent "/$3" --storage-driver overlay2 >>"$1/log" 2>&1
"""


class Dockerd:
    """A dockerd that is served at ``path``; everything of it is gone after `close`."""

    def __init__(self, directory: Path, path: str) -> None:
        for name in ("containerd", "dockerd"):
            assert shutil.which(name), f"{name} is not installed: scripts/install-debian-packages installs it"
        self.path = path
        self._home = directory / "dockerd"
        self._home.mkdir()
        self._groups = f"orlop-test-{uuid.uuid4().hex[:8]}"
        (self._home / "containerd.toml").write_text("version = 2\n")
        (self._home / "daemon.json").write_text("{}")
        self._init = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL"),
                *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *("sh", "-c", _INIT, "sh", str(self._home), path, self._groups),
            ],
            stdin=subprocess.DEVNULL,
        )
        try:
            wait_until(self._is_there, "dockerd's socket")
        except BaseException:
            self.close()
            raise

    def log(self) -> str:
        """What the programs have said."""
        return (self._home / "log").read_text(errors="replace")

    def _is_there(self) -> bool:
        assert self._init.poll() is None, self.log()
        return os.path.exists(self.path)

    def close(self) -> None:
        """End all of it."""
        self._init.send_signal(signal.SIGKILL)
        self._init.wait()
        wait_until(self._has_no_groups, "the end of dockerd's containers")

    def _has_no_groups(self) -> bool:
        try:
            remove_cgroups(self._groups)
        except OSError:
            return False  # a process of it is still ending
        return True
