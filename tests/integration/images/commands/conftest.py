"""orlop's image commands, each test with an engine and a home of its own."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engine.conftest import Engine, rootfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engine.conftest import Result
    from tests.integration.images.servers import Server

__all__ = ["rootfs"]


class ImageEngine(Engine):
    """An engine with a home directory of its own, where credentials are."""

    def __init__(self, directory: Path, rootfs: Path) -> None:
        super().__init__(directory, rootfs)
        self.home = directory / "home"
        self.home.mkdir(exist_ok=True)
        self.variables = {name: os.environ[name] for name in ("PATH", "ORLOP_NETWORK")} | {"HOME": str(self.home)}

    def __call__(self, *arguments: str, given: bytes | None = None, **options: Any) -> Result:
        return super().__call__(*arguments, given=given, **{"env": self.variables, **options})

    def fails(self, *arguments: str, code: int = 1, **options: Any) -> str:
        """Run a command that must fail, with one line, which is returned without the program's name."""
        result = self(*arguments, **options)
        assert result.code == code, result
        assert result.err.count("\n") == 1, result
        return result.err.strip().removeprefix("orlop: ").removeprefix("Error: ")

    def load(self, archive: bytes) -> str:
        """Load an archive; what was printed."""
        return self.ok("load", given=archive).strip()

    def images(self, *arguments: str) -> list[str]:
        """The names and tags of all images, in the order of their names."""
        return sorted(self.ok("images", "--format", "{{.Repository}}:{{.Tag}}", *arguments).split())

    def image(self, name: str) -> dict[str, Any]:
        """What `orlop image inspect` tells of an image."""
        found: list[dict[str, Any]] = json.loads(self.ok("image", "inspect", name))
        return found[0]

    def blobs(self) -> set[str]:
        """The digests of all blobs."""
        directory = self.root / "images/blobs/sha256"
        return {f"sha256:{name}" for name in os.listdir(directory)} if directory.exists() else set()

    def trees(self) -> set[str]:
        """The names of all snapshots."""
        directory = self.root / "snapshots"
        found: set[str] = set()
        for driver in directory.glob("*/"):
            found |= {name for name in os.listdir(driver) if not name.startswith(".")}
        return found

    def leftovers(self) -> list[str]:
        """Everything that a store has which is of use to no image: it has to be none if there are no images."""
        places = ("images/ingest", "images/trash", "images/blobs/sha256", "locks")
        found = [f"{place}/{name}" for place in places for name in _names(self.root / place)]
        found += [f"leases/{name}" for name in _names(self.root / "leases") if name != "lock"]
        return found + sorted(self.trees())

    def is_sound(self) -> None:
        """Fail if the store has a problem."""
        assert self.ok("system", "check").endswith("no problems\n")


def _names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory)) if directory.exists() else []


@pytest.fixture
def engine(tmp_path: Path, rootfs: Path) -> Iterator[ImageEngine]:
    """An engine that nobody else uses."""
    made = ImageEngine(tmp_path, rootfs)
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path, rootfs: Path) -> Iterator[ImageEngine]:
    """Another one, for what is brought from one to the other."""
    directory = tmp_path / "other"
    directory.mkdir()
    made = ImageEngine(directory, rootfs)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[ImageEngine]:
    """An engine for all tests of a module, for those that change no image of another's."""
    made = ImageEngine(tmp_path_factory.mktemp("shelf"), rootfs)
    yield made
    made.close()


@pytest.fixture
def place(plain_server: Server, request: pytest.FixtureRequest) -> str:
    """A repository's name on a registry, for this test alone."""
    name = request.node.name.partition("[")[0].replace("_", "-")[:60].strip("-")
    return f"{plain_server.authority}/{name}"


def wait_for_line(stream: Any, words: str) -> str:
    """Read a program's output until a line has these words."""
    for line in stream:
        text = line.decode()
        if words in text:
            return str(text)
    pytest.fail(f"the output ended without {words!r}")
