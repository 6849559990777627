"""Who takes part: each builds with its own command and its own store."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import engines, processes
from bench.engines import IMAGE, Engine, program
from bench.workspace import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bench.workspace import Workspace

#: Seconds that a builder may take to be ready for the next build.
_PATIENCE = 10.0


@dataclass(frozen=True)
class Builder:
    """One builder: what its command begins with, and the options by which it forgets what it did before, or does not.

    ``door`` is there as soon as what it leaves behind after a build is ready for the next one, as a daemon always is.
    """

    engine: Engine
    command: tuple[str, ...]
    anew: tuple[str, ...]
    again: tuple[str, ...]
    door: Path | None = None

    def build(self, context: Path, *, cached: bool) -> float:
        """Build a context; seconds."""
        took = self.engine.run(*self.command, *(self.again if cached else self.anew), str(context))
        end = time.monotonic() + _PATIENCE
        while self.door is not None and not self.door.exists() and time.monotonic() < end:
            time.sleep(0.01)
        return took

    def forget_what_is_left(self) -> None:
        """End what it has left behind, so that all memory that it has is of processes that the next build starts."""
        left = processes.in_host_namespace(processes.descendants())
        processes.end([process.pid for process in left if process.name.startswith("orlop-build")])
        if self.door is not None:
            self.door.unlink(missing_ok=True)


@contextmanager
def orlop(workspace: Workspace) -> Iterator[Builder]:
    """orlop from this checkout, with a store of its own."""
    home = Path(tempfile.mkdtemp(prefix="orlop-builds-", dir=workspace.path))
    environment = {
        **os.environ,
        "ORLOP_ROOT": str(home / "root"),
        "ORLOP_RUN_ROOT": str(home / "run"),
        "ORLOP_NETWORK": "none",
    }
    engine = Engine([str(REPOSITORY / "bin/orlop")], environment, str(home / "log"))
    before = set(processes.descendants())
    try:
        archive = workspace.path / "rootfs.tar"
        if not archive.exists():
            subprocess.run(["tar", "-C", workspace.rootfs, "-cf", archive, "."], check=True)
        engine.run("import", str(archive), IMAGE)
        door = home / "run" / f"builds-{os.uname().machine}.sock"
        yield Builder(engine, ("build", "-q", "-t", "result"), ("--no-cache",), (), door)
    finally:
        processes.end([pid for pid in processes.descendants() if pid not in before])


@contextmanager
def docker(workspace: Workspace) -> Iterator[Builder]:
    """docker's classic builder, with a daemon of its own."""
    with engines.docker(workspace) as engine:
        classic = Engine(engine.command, {**engine.environment, "DOCKER_BUILDKIT": "0"}, engine.log)
        yield Builder(classic, ("build", "-q", "--network", "none", "-t", "result"), ("--no-cache",), ())


@contextmanager
def buildah(workspace: Workspace) -> Iterator[Builder]:
    """buildah with a store of its own; its steps are in chroots, which is the quickest that it has."""
    home = Path(tempfile.mkdtemp(prefix="buildah-", dir=workspace.path))
    stores = ("--root", str(home / "root"), "--runroot", str(home / "run"), "--storage-driver", "overlay")
    engine = Engine([program("buildah"), *stores], dict(os.environ), str(home / "log"))
    (home / "Dockerfile").write_text("FROM scratch\nADD rootfs.tar /\n")
    archive = workspace.path / "rootfs.tar"
    if not archive.exists():
        subprocess.run(["tar", "-C", workspace.rootfs, "-cf", archive, "."], check=True)
    os.link(archive, home / "rootfs.tar")
    common = ("bud", "-q", "--isolation", "chroot", "--layers")
    engine.run(*common, "-t", f"localhost/{IMAGE}", str(home))
    yield Builder(engine, (*common, "-t", "localhost/result"), ("--no-cache",), ())


CONTESTANTS: dict[str, Callable[[Workspace], AbstractContextManager[Builder]]] = {
    "orlop": orlop,
    "docker": docker,
    "buildah": buildah,
}
