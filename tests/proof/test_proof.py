"""Real software is built, runs everywhere, and comes to what other builders come to. ``make proof``; it takes minutes.

The programs are Debian's and PyPI's, fetched while the images are built. Each image is built by orlop, run by it, pushed to a
registry, and run from there by orlop, docker and podman, with runc below the latter. The same Dockerfile, but for mounts that
docker's classic builder does not know, is built by buildah and that builder, and has to come to equal files and settings.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.integration.build.conftest import Builder
from tests.integration.build.test_same_as_others import settings, tree
from tests.integration.engine.conftest import rootfs
from tests.integration.images.conftest import plain_server
from tests.integration.interop.conftest import (
    archive,
    docker,
    docker_programs,
    new_home,
    podman,
    podman_programs,
    root_filesystem,
)
from tests.proof.engines import BUILD, Orlop, Other, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.images.servers import Server
    from tests.integration.interop.docker import Docker
    from tests.integration.interop.podman import Podman
    from tests.proof.engines import Runner

__all__ = [
    "archive", "docker", "docker_programs", "new_home", "plain_server", "podman", "podman_programs",
    "root_filesystem", "rootfs",
]  # fmt: skip

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
BASE = "localhost/debian"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
#: What a server on port 8080 of the container's loopback answers, with nothing but bash.
ASK = ("bash", "-c", r'exec 3<>/dev/tcp/127.0.0.1/8080; printf "GET / HTTP/1.0\r\nHost: us\r\n\r\n" >&3; cat <&3')
SUM = "create table numbers as select generate_series(1, 1000) as n; select sum(n) from numbers"
#: What is another each time that it is made: by the clock, by an inode's number, or by chance.
CHANGING = re.compile(
    r"var/cache/(debconf|fontconfig|ldconfig)/.*|var/log/.*|.*/__pycache__/.*|var/lib/(dpkg|apt)/.*-old|etc/.*-"
)


def _nginx(runner: Runner, image: str) -> None:
    container = runner.start(image)
    assert "served by nginx" in eventually(runner, container, *ASK)
    runner.remove(container)


def _python(runner: Runner, image: str) -> None:
    container = runner.start(image)
    assert "served by flask as us" in eventually(runner, container, *ASK)
    assert runner.execute(container, "id", "-un").out == "web\n"
    runner.remove(container)


def _c(runner: Runner, image: str) -> None:
    assert runner.run(image) == "hello world from user 65534\n"
    assert runner.run(image, "a", "b").splitlines() == ["hello a from user 65534", "hello b from user 65534"]


def _postgresql(runner: Runner, image: str) -> None:
    container = runner.start(image)
    eventually(runner, container, "psql", "-h", "127.0.0.1", "-c", "select 1")
    assert runner.execute(container, "psql", "-h", "127.0.0.1", "-Atqc", SUM).out == "500500\n"
    runner.remove(container)


def _orlop(runner: Runner, image: str) -> None:
    tested, version = runner.run(image).splitlines()
    assert tested == "tested"
    assert version.startswith("orlop version ")


class Software(NamedTuple):
    """One image: what shows that it works, and what of this machine its context has beside the files here."""

    check: Callable[[Runner, str], None]
    has_authorities: bool = False
    has_source: bool = False


SOFTWARE = {
    "nginx": Software(_nginx),
    "c": Software(_c),
    "postgresql": Software(_postgresql),
    "python": Software(_python, has_authorities=True),
    "orlop": Software(_orlop, has_authorities=True, has_source=True),
}


@pytest.fixture(scope="session")
def runtime() -> Path:
    """What docker and podman run containers with: not orlop."""
    found = shutil.which("runc", path=f"{os.environ['PATH']}:/usr/sbin")
    assert found is not None
    return Path(found)


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[Builder]:
    """The module's engine, with Debian."""
    debian = Path(os.environ.get("ORLOP_TEST_ROOTFS", REPOSITORY / "build/rootfs/debian"))
    made = Builder(tmp_path_factory.mktemp("builder"), rootfs)
    with subprocess.Popen(["tar", "-C", debian, "-c", "."], stdout=subprocess.PIPE) as packed:
        subprocess.run(made.command("import", "-", BASE), stdin=packed.stdout, check=True, capture_output=True)
    yield made
    made.close()


@pytest.fixture(scope="module")
def base(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian in an archive for the others."""
    path = tmp_path_factory.mktemp("base") / "base.tar"
    builder.ok("save", "-o", str(path), BASE)
    return path


@pytest.fixture(scope="module", params=SOFTWARE)
def built(request: pytest.FixtureRequest, builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """One image, built by orlop."""
    name: str = request.param
    context = tmp_path_factory.mktemp("context") / name
    shutil.copytree(HERE / name, context)
    if SOFTWARE[name].has_authorities:
        (context / "machine").mkdir()
        shutil.copy(AUTHORITIES, context / "machine")
    if SOFTWARE[name].has_source:
        (context / "source").mkdir()
        packed = subprocess.run(["git", "archive", "HEAD"], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "-C", context / "source", "-x"], input=packed, check=True)
    image = f"localhost/{name}"
    command = builder.command("build", "--network", "host", "--progress", "plain", "-t", image, str(context))
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD, check=False)
    assert done.returncode == 0, done.stderr
    return Built(name, image, context)


class Built(NamedTuple):
    """An image, and what it was made from."""

    name: str
    image: str
    context: Path

    @property
    def known_file(self) -> str:
        """A file that the image has."""
        return "bin/greet" if self.name == "c" else "usr/bin/env"

    def check(self, runner: Runner, image: str) -> None:
        """Show that the image works."""
        SOFTWARE[self.name].check(runner, image)


def test_it_runs_here(built: Built, builder: Builder) -> None:
    built.check(Orlop(builder), built.image)


def test_it_is_not_built_again(built: Built, builder: Builder) -> None:
    result = builder.build(built.context, "--network", "host", "-t", built.image)
    assert (result.code, " DONE " in result.err) == (0, False), result


def test_it_runs_everywhere(
    built: Built, builder: Builder, docker: Docker, podman: Podman, plain_server: Server
) -> None:
    name = f"{plain_server.authority}/{built.name}:proof"
    builder.ok("tag", built.image, name)
    builder.ok("push", "-q", name)
    for runner in (Orlop(builder), Other(docker), Other(podman, "--tls-verify=false")):
        runner.pull(name)
        built.check(runner, name)


def test_buildah_builds_the_same(built: Built, builder: Builder, base: Path, tmp_path: Path) -> None:
    program = ["buildah", "--root", f"{tmp_path}/root", "--runroot", f"{tmp_path}/run", "--storage-driver", "overlay"]
    theirs = tmp_path / "theirs.tar"
    for words in (
        ("pull", f"docker-archive:{base}"),
        (
            "bud",
            "--isolation",
            "chroot",
            "--format",
            "docker",
            "--layers",
            "-t",
            "localhost/result",
            str(built.context),
        ),
        ("push", "--disable-compression", "localhost/result", f"docker-archive:{theirs}:localhost/result:latest"),
        ("rmi", "--all", "--force"),
    ):
        done = subprocess.run([*program, *words], capture_output=True, text=True, timeout=BUILD, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    _is_the_same(builder, built, theirs, "localhost/result", tmp_path)


def test_docker_builds_the_same(built: Built, builder: Builder, docker: Docker, base: Path, tmp_path: Path) -> None:
    assert docker("load", "-i", str(base)).code == 0
    text = (built.context / "Dockerfile").read_text()
    without_mounts = tmp_path / "Dockerfile"
    without_mounts.write_text(re.sub(r"--mount=\S+\s+(\\\n\s+)?", "", text))
    words = ("build", "--network", "host", "-f", str(without_mounts), "-t", "localhost/theirs", str(built.context))
    done = docker(*words, seconds=BUILD)
    assert done.code == 0, done.out[-3000:] + done.err
    theirs = tmp_path / "theirs.tar"
    assert docker("save", "-o", str(theirs), "localhost/theirs", seconds=BUILD).code == 0
    _is_the_same(builder, built, theirs, "localhost/theirs", tmp_path)


def _is_the_same(builder: Builder, built: Built, theirs: Path, name: str, tmp_path: Path) -> None:
    builder.ok("load", "-i", str(theirs))
    theirs.unlink()
    assert settings(builder, built.image) == settings(builder, name)
    ours, others = (tree(builder, image, tmp_path, has=built.known_file) for image in (built.image, name))
    changing = {path for path in ours | others if CHANGING.fullmatch(path)}
    differences = {
        path: (ours.get(path), others.get(path))
        for path in sorted(ours.keys() | others.keys())
        if path not in changing and ours.get(path) != others.get(path)
    }
    assert differences == {}
