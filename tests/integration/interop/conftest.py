"""Engines for the interop tests, each started once for all the tests that share it.

``ORLOP_INTEROP_RUNTIME=/usr/sbin/runc`` runs the same tests with another runtime: what runc cannot
do on a machine is not for orlop's runtime to be blamed for.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.interop.containerd import Containerd
from tests.integration.interop.docker import Docker
from tests.integration.interop.home import Home
from tests.integration.interop.image import BUSYBOX, make_archive, make_root_filesystem
from tests.integration.interop.podman import Podman

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT = Path(__file__).resolve().parents[3]


def _need(*programs: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}, which is not installed")
    if not os.path.exists(BUSYBOX):
        pytest.skip("needs busybox-static, which is not installed")


@pytest.fixture(scope="session")
def runtime() -> Path:
    """The runtime that the engines are pointed at."""
    return Path(os.environ.get("ORLOP_INTEROP_RUNTIME", PROJECT / "bin/orlop-runtime"))


@pytest.fixture
def orlop_only(runtime: Path) -> None:
    """For what orlop's runtime does and runc does not."""
    if runtime.name == "runc":
        pytest.skip("runc cannot do this")


@pytest.fixture(scope="session")
def root_filesystem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    _need()
    return make_root_filesystem(tmp_path_factory.mktemp("rootfs"))


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory, root_filesystem: Path) -> Path:
    return make_archive(tmp_path_factory.mktemp("image"), root_filesystem)


@pytest.fixture(scope="session")
def new_home() -> Iterator[Callable[..., Home]]:
    """Makes homes for engines, and ends all that lived there when the tests are done."""
    homes: list[Home] = []

    def make(name: str, uids: range = range(0)) -> Home:
        # Short, as the path of podman's attach socket must be, or its monitor's clean-up fails and podman waits.
        directory = Path(tempfile.mkdtemp(prefix=f"orlop-{name}-"))
        directory.chmod(0o755)  # a remapped root of a container must be able to pass; pytest's own are 0700
        homes.append(Home(directory, uids))
        return homes[-1]

    yield make
    for home in reversed(homes):
        home.close()


@pytest.fixture(scope="session")
def docker_programs() -> None:
    _need("dockerd", "docker", "containerd")


@pytest.fixture(scope="session")
def docker(new_home: Callable[..., Home], runtime: Path, archive: Path, docker_programs: None) -> Docker:
    return Docker(new_home("dockerd"), runtime, archive)


@pytest.fixture(scope="session")
def containerd(new_home: Callable[..., Home], runtime: Path, root_filesystem: Path) -> Containerd:
    _need("containerd", "ctr")
    return Containerd(new_home("containerd"), runtime, root_filesystem)


@pytest.fixture(scope="session")
def podman_programs() -> None:
    _need("podman", "conmon")


@pytest.fixture(scope="session")
def podman(new_home: Callable[..., Home], runtime: Path, archive: Path, podman_programs: None) -> Podman:
    return Podman(new_home("podman"), runtime, archive)


@pytest.fixture(scope="module")
def public_directory() -> Iterator[Path]:
    """A directory that a container's mapped root may walk through, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="orlop-side-by-side-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)
