"""A dockerd of our own, with its own containerd, that starts every container with the runtime under test."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.interop.home import Home, Result

IMAGE = "busybox-of-ours"


class Docker:
    """One daemon and its command line; ``docker("run", …)`` runs the real client."""

    def __init__(self, home: Home, runtime: Path, archive: Path, *options: str) -> None:
        self.home = home
        directory = home.directory
        settings = directory / "daemon.json"
        settings.write_text(json.dumps({"experimental": True, "features": {"buildkit": False}}))
        self._env = {"DOCKER_HOST": f"unix://{directory}/docker.sock", "DOCKER_CONFIG": str(directory / "client")}
        self._names = (f"c{number}" for number in itertools.count(1))
        home.start_daemon(
            [
                "dockerd",
                f"--data-root={directory}/data",
                f"--exec-root={directory}/exec",
                f"--host=unix://{directory}/docker.sock",
                f"--pidfile={directory}/pid",
                f"--config-file={settings}",
                f"--cgroup-parent={home.cgroup}",
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
                f"--add-runtime=orlop={runtime}",
                "--default-runtime=orlop",
                *options,
            ],
            lambda: self("version").code == 0,
        )
        assert self("import", str(archive), IMAGE).code == 0

    def __call__(self, *arguments: str, stdin: str | None = None, seconds: float = 30.0) -> Result:
        return self.home.run(["docker", *arguments], env=self._env, stdin=stdin, seconds=seconds)

    def on_terminal(self, *arguments: str, rows: int, columns: int, typed: str = "", once: str = "") -> Result:
        command = ["docker", *arguments]
        return self.home.run_on_terminal(command, env=self._env, rows=rows, columns=columns, typed=typed, once=once)

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        """``docker run --rm --network none ARGUMENTS``; the image is among the arguments."""
        return self("run", "--rm", "--network=none", *arguments, stdin=stdin)

    def start(self, *arguments: str) -> str:
        """Start a container in the background and return its name."""
        name = next(self._names)
        result = self("run", "-d", "--network=none", f"--name={name}", *arguments)
        assert result.code == 0, result.err
        return name

    def inspect(self, name: str) -> dict[str, Any]:
        result = self("inspect", name)
        assert result.code == 0, result.err
        record: dict[str, Any] = json.loads(result.out)[0]
        return record
