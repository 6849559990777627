"""Who takes part: each knows how to pull, push, save, load and remove with its own commands and its own store."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import engines, processes
from bench.engines import Engine
from bench.workspace import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bench.workspace import Workspace


@dataclass(frozen=True)
class Contestant:
    """One engine, and the options that its commands need for a registry without TLS."""

    engine: Engine
    insecure: tuple[str, ...] = ()
    #: Directory of its store.
    store: Path | None = None

    def pull(self, name: str) -> float:
        """Pull and unpack; seconds."""
        return self.engine.run("pull", *self.insecure, "--quiet", name)

    def tag(self, name: str, other: str) -> None:
        """Give an image another name."""
        self.engine.run("tag", name, other)

    def push(self, name: str) -> float:
        """Push; seconds."""
        return self.engine.run("push", *self.insecure, "--quiet", name)

    def save(self, name: str, path: str) -> float:
        """Save to a file; seconds."""
        return self.engine.run("save", "--output", path, name)

    def load(self, path: str) -> float:
        """Load from a file; seconds."""
        return self.engine.run("load", "--quiet", "--input", path)

    def remove(self, *names: str) -> float:
        """Remove an image with all its names; seconds."""
        return self.engine.run("rmi", *names)


@contextmanager
def orlop(workspace: Workspace) -> Iterator[Contestant]:
    """orlop from this checkout, with a store of its own."""
    home = Path(tempfile.mkdtemp(prefix="orlop-images-", dir=workspace.path))
    environment = {**os.environ, "ORLOP_ROOT": str(home / "root"), "ORLOP_RUN_ROOT": str(home / "run")}
    engine = Engine([str(REPOSITORY / "bin/orlop")], environment, str(home / "log"))
    before = set(processes.descendants())
    try:
        yield Contestant(engine, store=home / "root")
    finally:
        processes.end([pid for pid in processes.descendants() if pid not in before])


@contextmanager
def docker(workspace: Workspace) -> Iterator[Contestant]:
    """Docker with a daemon of its own."""
    with engines.docker(workspace) as engine:
        yield Contestant(engine)


@contextmanager
def podman(workspace: Workspace) -> Iterator[Contestant]:
    """Podman with a store of its own."""
    with engines.podman(workspace) as engine:
        yield Contestant(engine, ("--tls-verify=false",))


CONTESTANTS: dict[str, Callable[[Workspace], AbstractContextManager[Contestant]]] = {
    "orlop": orlop,
    "docker": docker,
    "podman": podman,
}
