"""podman with directories and a configuration of its own."""

from __future__ import annotations

import itertools
import json
import resource
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.interop.home import Home, Result

IMAGE = "localhost/busybox-of-ours"
CONFIG = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "orlop"
runtime_supports_json = [{json}]
tmp_dir = "{directory}/tmp"
[engine.runtimes]
orlop = ["{runtime}"]
"""
STORAGE = """
[storage]
driver = "{driver}"
runroot = "{directory}/runroot"
graphroot = "{directory}/root"
"""


class Podman:
    """``podman("run", …)`` runs the real one with the runtime under test.

    ``as_user`` is a command before podman's that makes an ordinary user of the caller.
    """

    def __init__(self, home: Home, runtime: Path, archive: Path, *, as_user: tuple[str, ...] = ()) -> None:
        self.home = home
        self._program = [*as_user, "podman"]
        directory = home.directory
        limits = {
            "files": min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1] % (1 << 63)),
            "processes": min(4096, resource.getrlimit(resource.RLIMIT_NPROC)[1] % (1 << 63)),
        }
        self._settings = {"directory": directory, "runtime": runtime, **limits}
        (directory / "storage.conf").write_text(
            STORAGE.format(directory=directory, driver="vfs" if as_user else "overlay")
        )
        self.environment = {
            "CONTAINERS_CONF": str(directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
            "XDG_RUNTIME_DIR": str(directory / "run"),
            "HOME": str(directory),
        }
        self._names = (f"p{number}" for number in itertools.count(1))
        self.log_as_json(True)
        result = self("import", str(archive), IMAGE)
        assert result.code == 0, result.err

    def log_as_json(self, wanted: bool) -> None:
        """Tell podman whether the runtime writes JSON error lines, or is to be read on stderr."""
        text = CONFIG.format(json='"orlop"' if wanted else "", **self._settings)
        (self.home.directory / "containers.conf").write_text(text)

    def __call__(self, *arguments: str, stdin: str | None = None, seconds: float = 30.0) -> Result:
        return self.home.run([*self._program, *arguments], env=self.environment, stdin=stdin, seconds=seconds)

    def on_terminal(self, *arguments: str, rows: int, columns: int, typed: str = "", once: str = "") -> Result:
        command = [*self._program, *arguments]
        return self.home.run_on_terminal(
            command, env=self.environment, rows=rows, columns=columns, typed=typed, once=once
        )

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        """``podman run --rm ARGUMENTS``; the image is among the arguments."""
        return self("run", "--rm", f"--cgroup-parent={self.home.cgroup}", *arguments, stdin=stdin)

    def start(self, *arguments: str) -> str:
        """Start a container in the background and return its name."""
        name = next(self._names)
        result = self("run", "-d", f"--cgroup-parent={self.home.cgroup}", f"--name={name}", *arguments)
        assert result.code == 0, result.err
        return name

    def inspect(self, name: str) -> dict[str, Any]:
        result = self("inspect", name)
        assert result.code == 0, result.err
        record: dict[str, Any] = json.loads(result.out)[0]
        return record
