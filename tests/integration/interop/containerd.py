"""A containerd of our own, driven by ctr as containerd's users drive it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.interop.home import Home, Result

CONFIG = """
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{directory}/containerd.sock"
"""


class Containerd:
    """One daemon; ``containerd("tasks", "ls")`` runs ctr. Containers run on a plain root file system."""

    def __init__(self, home: Home, runtime: Path, root_filesystem: Path) -> None:
        self.home = home
        self._runtime = runtime
        self._root_filesystem = root_filesystem
        self._names = (f"t{number}" for number in itertools.count(1))
        settings = home.directory / "config.toml"
        settings.write_text(CONFIG.format(directory=home.directory))
        home.start_daemon(["containerd", "--config", str(settings)], lambda: self("version").code == 0)

    def __call__(self, *arguments: str, stdin: str | None = None) -> Result:
        return self.home.run(["ctr", "-a", f"{self.home.directory}/containerd.sock", *arguments], stdin=stdin)

    def run(self, *command: str, options: tuple[str, ...] = (), stdin: str | None = None) -> tuple[str, Result]:
        """``ctr run OPTIONS … NAME COMMAND``; returns the name and the result."""
        name = next(self._names)
        result = self(
            "run",
            "--runtime=io.containerd.runc.v2",
            f"--runc-binary={self._runtime}",
            "--env=PATH=/bin",
            f"--cgroup={self.home.cgroup}/{name}",
            *options,
            "--rootfs",
            str(self._root_filesystem),
            name,
            *command,
            stdin=stdin,
        )
        return name, result

    def start(self, *command: str, options: tuple[str, ...] = ()) -> str:
        """Start a task in the background and return its name."""
        name, result = self.run(*command, options=("--detach", *options))
        assert result.code == 0, result.err
        return name

    def status(self, name: str) -> str:
        """The state that ``ctr tasks ls`` shows, empty for no such task."""
        for line in self("tasks", "ls").out.splitlines():
            if line.split()[0] == name:
                return line.split()[-1]
        return ""
