"""Engines that run an image, all asked in the same way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tests.integration.build.conftest import Builder
    from tests.integration.interop.docker import Docker
    from tests.integration.interop.podman import Podman

#: Seconds that a program may take to answer, an image to come, and an image to be built.
PATIENCE = 60.0
TRANSFER = 300.0
BUILD = 1800.0


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


class Runner(Protocol):
    """One engine. Containers have no network but their own loopback."""

    def pull(self, name: str) -> None:
        """Have an image that a registry on loopback has."""

    def run(self, image: str, *words: str) -> str:
        """What the image's program writes, with these words, until it ends well."""

    def start(self, image: str) -> str:
        """Start the image's program; the container's id."""

    def execute(self, container: str, *words: str) -> Said:
        """Execute a command in a container."""

    def remove(self, container: str) -> None:
        """Remove a container that runs."""


class Orlop:
    """orlop, which has the images that it has built."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def pull(self, name: str) -> None:
        self._builder.ok("rmi", "-f", name)
        self._builder.ok("pull", "-q", name)

    def run(self, image: str, *words: str) -> str:
        return self._builder.ok("run", "--rm", "--network", "none", image, *words)

    def start(self, image: str) -> str:
        return self._builder.ok("run", "-d", "--network", "none", image).strip()

    def execute(self, container: str, *words: str) -> Said:
        result = self._builder("exec", container, *words)
        return Said(result.code, result.out, result.err)

    def remove(self, container: str) -> None:
        self._builder.ok("rm", "-f", "-v", container)


class Other:
    """docker or podman; ``pulling`` are options that pulling wants."""

    def __init__(self, engine: Docker | Podman, *pulling: str) -> None:
        self._engine = engine
        self._pulling = pulling

    def _ok(self, *words: str, seconds: float = PATIENCE) -> str:
        done = self._engine(*words, seconds=seconds)
        assert done.code == 0, done
        return done.out

    def pull(self, name: str) -> None:
        self._ok("pull", *self._pulling, name, seconds=TRANSFER)

    def run(self, image: str, *words: str) -> str:
        return self._ok("run", "--rm", "--network=none", f"--cgroup-parent={self._engine.home.cgroup}", image, *words)

    def start(self, image: str) -> str:
        parent = f"--cgroup-parent={self._engine.home.cgroup}"
        return self._ok("run", "-d", "--network=none", parent, image).strip()

    def execute(self, container: str, *words: str) -> Said:
        done = self._engine("exec", container, *words, seconds=PATIENCE)
        return Said(done.code, done.out, done.err)

    def remove(self, container: str) -> None:
        self._ok("rm", "-f", "-v", container)


def eventually(runner: Runner, container: str, *words: str) -> str:
    """What a command in a container writes as soon as it succeeds."""
    end = time.monotonic() + PATIENCE
    while True:
        said = runner.execute(container, *words)
        if said.code == 0:
            return said.out
        assert time.monotonic() < end, said
        time.sleep(0.2)
