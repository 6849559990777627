"""``orlop build`` on an engine that all tests of a module share, with an image of busybox as ``base``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engine.conftest import Engine, rootfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.integration.engine.conftest import Result

__all__ = ["rootfs"]


class Builder(Engine):
    """An engine that builds contexts, each a directory of its own."""

    def __init__(self, directory: Path, rootfs: Path) -> None:
        super().__init__(directory, rootfs)
        self.directory = directory
        self._count = 0

    def context(self, dockerfile: str, **files: str | bytes) -> Path:
        """A new directory with a Dockerfile and other files; ``a__b`` is the file ``a/b``."""
        self._count += 1
        path = self.directory / f"context-{self._count}"
        path.mkdir()
        (path / "Dockerfile").write_text(dockerfile)
        for name, content in files.items():
            file = path / name.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def build(self, context: Path | str, *arguments: str, **options: Any) -> Result:
        """Build with plain progress, to its end."""
        return self("build", "--progress", "plain", *arguments, str(context), **options)

    def built(
        self, dockerfile: str, *arguments: str, files: Mapping[str, str | bytes] | None = None, **options: Any
    ) -> str:
        """Build what must succeed; the image's id."""
        result = self.build(self.context(dockerfile, **(files or {})), *arguments, **options)
        assert result.code == 0, result
        return result.out.strip()

    def image(self, name: str) -> dict[str, Any]:
        """What `orlop image inspect` tells of an image."""
        found: list[dict[str, Any]] = json.loads(self.ok("image", "inspect", name))
        return found[0]

    def layers_of_all(self, image_id: str) -> list[Path]:
        """The blobs of an image's layers, the lowest first."""
        blobs = self.root / "images/blobs/sha256"
        return [blobs / digest.removeprefix("sha256:") for digest in self.diff_ids(image_id)]

    def diff_ids(self, image_id: str) -> list[str]:
        """The digests of an image's layers, the lowest first."""
        path = self.root / "images/blobs/sha256" / image_id.removeprefix("sha256:")
        found: list[str] = json.loads(path.read_text())["rootfs"]["diff_ids"]
        return found

    def layers(self, image_id: str) -> list[Path]:
        """The blobs of the layers upon that of `base`."""
        return self.layers_of_all(image_id)[1:]

    def entries(self, image_id: str) -> list[list[str]]:
        """The names in each layer upon the base."""
        found = []
        for path in self.layers(image_id):
            with tarfile.open(path) as archive:
                found.append([name for name in archive.getnames() if name != "."])
        return found

    def files(self, image_id: str) -> dict[str, tarfile.TarInfo]:
        """What the layers upon the base have, a later one over an earlier one."""
        found: dict[str, tarfile.TarInfo] = {}
        for path in self.layers(image_id):
            with tarfile.open(path) as archive:
                found |= {info.name: info for info in archive}
        return found

    def output(self, image_id: str, *command: str) -> str:
        """What a program in the image writes."""
        return self.ok("run", "--rm", "--network", "none", image_id, *command)

    def everything_under(self) -> bytes:
        """The content of all blobs and records."""
        tops = (self.root / "images", self.root / "build", self.root / "events")
        files = [path for top in tops for path in top.rglob("*") if path.is_file() and "mounts" not in path.parts]
        return b"".join(path.read_bytes() for path in files)


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[Builder]:
    """The module's engine."""
    made = Builder(tmp_path_factory.mktemp("builder"), rootfs)
    archive = subprocess.run(["tar", "-C", str(rootfs), "-c", "."], capture_output=True, check=True).stdout
    made.ok("import", "-", "base", given=archive)
    yield made
    assert list((made.root / "build/under-way").glob("*")) == []
    made.close()
    assert not (made.run_root / "building").exists() or os.listdir(made.run_root / "building") == []


@pytest.fixture
def needs() -> Callable[[str], None]:
    """Skip a test whose program is not installed: ``needs("git")``."""

    def check(program: str) -> None:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")

    return check
