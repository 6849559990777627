"""An engine of its own for each test: roots below the test's directory, and nothing left behind.

``engine("run", …)`` runs orlop's command line on it. After the test its containers are removed and its
launcher is told to end; whatever then is left over fails the test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import BUSYBOX, REPOSITORY, busybox_root
from tests.integration.engine.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ORLOP = str(REPOSITORY / "bin/orlop")
PATIENCE = 60.0


class Result:
    """How one command ended."""

    def __init__(self, arguments: list[str], code: int, out: str, err: str) -> None:
        self.arguments = arguments
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"{' '.join(self.arguments)} -> {self.code}\nstdout: {self.out}\nstderr: {self.err}"


def wait_until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Wait for something that no event announces; its value."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come about in {PATIENCE:.0f} seconds")
        time.sleep(0.005)
    return value


def comm(pid: int) -> str:
    """A process's name; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def parent(pid: int) -> int:
    """A process's parent; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


class Engine:
    """orlop's command line with roots of its own."""

    def __init__(self, directory: Path, rootfs: Path, prefix: tuple[str, ...] = ()) -> None:
        self.root = directory / "root"
        self.run_root = directory / "run"
        self.rootfs = str(rootfs)
        self.prefix = prefix
        self.program = ORLOP

    def command(self, *arguments: str) -> list[str]:
        """The whole command line; ``ROOTFS`` among the arguments stands for the root directory."""
        words = [self.rootfs if word == "ROOTFS" else word for word in arguments]
        return [*self.prefix, self.program, "--root", str(self.root), "--run-root", str(self.run_root), *words]

    def __call__(self, *arguments: str, given: bytes | None = None, **options: Any) -> Result:
        """Run a command to its end."""
        command = self.command(*arguments)
        done = subprocess.run(
            command,
            input=given if given is not None else b"",
            capture_output=True,
            timeout=2 * PATIENCE,
            check=False,
            **options,
        )
        return Result(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *arguments: str, **options: Any) -> str:
        """Run a command that must succeed; what it printed."""
        result = self(*arguments, **options)
        assert result.code == 0, result
        return result.out

    def run(self, *arguments: str, **options: Any) -> Result:
        """``run --rm`` on the root directory."""
        return self("run", "--rm", "--rootfs", self.rootfs, *arguments, **options)

    def detached(self, name: str, *arguments: str) -> str:
        """Start a container in the background; its id."""
        return self.ok("run", "-d", "--name", name, "--rootfs", self.rootfs, *arguments).strip()

    def popen(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command and leave it running."""
        return subprocess.Popen(self.command(*arguments), **options)

    def inspect(self, name: str) -> dict[str, Any]:
        """What `orlop inspect` tells of one container."""
        found: list[dict[str, Any]] = json.loads(self.ok("inspect", name))
        return found[0]

    def state(self, name: str) -> dict[str, Any]:
        """A container's ``State``."""
        state: dict[str, Any] = self.inspect(name)["State"]
        return state

    def names(self) -> list[str]:
        """The names of all containers."""
        return self.ok("ps", "-a", "--format", "{{.Names}}").split()

    def containers(self) -> list[str]:
        """What is in the containers' directory, half-made things included."""
        try:
            return os.listdir(self.root / "containers")
        except FileNotFoundError:
            return []

    def snapshots(self) -> list[str]:
        """The keys of the containers' snapshots."""
        try:
            found = os.listdir(self.root / "snapshots/overlay")
        except FileNotFoundError:
            return []
        return [each for each in found if not each.startswith(("sha256:", "."))]

    def runtime_state(self) -> list[str]:
        """The containers that the runtime knows."""
        try:
            return os.listdir(self.run_root / "runtime")
        except FileNotFoundError:
            return []

    def volumes(self) -> list[str]:
        """The names of all volumes."""
        try:
            return os.listdir(self.root / "volumes")
        except FileNotFoundError:
            return []

    def monitor(self, container_id: str) -> int:
        """The pid of a container's monitor: the process that holds its lock, once its starter has handed it over."""
        identity = os.stat(self.run_root / "monitors" / container_id)
        wanted = f"{os.major(identity.st_dev):02x}:{os.minor(identity.st_dev):02x}:{identity.st_ino}"

        def holds(descriptor: Path) -> bool:
            try:
                text = descriptor.read_text()
            except OSError:
                return False
            return wanted in text and "OFDLCK" in text

        def look() -> int:
            for process in self.processes("orlop-monitor"):
                if any(holds(each) for each in Path(f"/proc/{process}/fdinfo").glob("*")):
                    return process
            return 0

        return int(wait_until(look, f"a monitor of {container_id}"))

    def processes(self, name: str = "orlop-") -> list[int]:
        """This engine's launchers, monitors and starters, which have its run directory in their command line."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (path / "comm").read_text().startswith(name):
                    text = (path / "cmdline").read_bytes()
                    if os.fsencode(str(self.run_root)) in text:
                        found.append(int(path.name))
            except OSError:
                continue
        return found

    def launcher(self) -> int:
        """The launcher's pid, waiting for it to listen."""

        def look() -> int:
            if not (self.run_root / "launcher.sock").exists():
                return 0
            # The monitor that it keeps ready has its name, too.
            named = [each for each in self.processes() if comm(each) == "orlop-launcher"]
            return next((each for each in named if parent(each) not in named), 0)

        return int(wait_until(look, "a launcher"))

    def _is_ended(self) -> bool:
        """Tell all processes to end, one of which the last command may just be starting; whether none is left."""
        processes = self.processes()
        for process in processes:
            try:
                os.kill(process, signal.SIGTERM)
            except ProcessLookupError:
                continue
        return not processes

    def close(self) -> None:
        """Remove every container and end the launcher; nothing must be left."""
        if not self.run_root.exists():
            return
        ids = self.ok("ps", "-aq", "--no-trunc").split()
        if ids:
            self.ok("rm", "-f", *ids)
        wait_until(self._is_ended, "the end of the launcher")
        assert self.containers() == []
        assert self.snapshots() == []
        names = self.root / "names"  # there once a container was
        assert not names.exists() or os.listdir(names) in ([], [".lock"])
        for directory in ("control", "execs", "monitors", "runtime"):
            path = self.run_root / directory
            assert not path.exists() or os.listdir(path) == []
        assert str(self.root) not in Path("/proc/self/mountinfo").read_text()


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root directory with busybox, for containers that do not change it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: containers are made for real")
    if not os.access(BUSYBOX, os.X_OK):
        pytest.skip(f"needs {BUSYBOX} (Debian's busybox-static)")
    path = tmp_path_factory.mktemp("rootfs")
    path.chmod(0o755)
    busybox_root(path)
    for applet in ("trap", "yes", "dd", "ip", "nc"):
        (path / "bin" / applet).symlink_to("busybox")
    return path


@pytest.fixture
def engine(tmp_path: Path, rootfs: Path) -> Iterator[Engine]:
    """An engine that nobody else uses."""
    made = Engine(tmp_path, rootfs)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[Engine]:
    """An engine for all tests of a module, its launcher warm."""
    made = Engine(tmp_path_factory.mktemp("engine"), rootfs)
    assert made.run("true").code == 0
    made.launcher()
    yield made
    made.close()


@pytest.fixture
def screen() -> Iterator[Screen]:
    """A terminal of 24 rows and 80 columns."""
    made = Screen()
    yield made
    made.close()


@pytest.fixture(scope="module", params=["root", "user"])
def owner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[Engine]:
    """An engine of root's, and one of an ordinary user, both with an image ``plain``."""
    from tests.integration.engine.image_maker import make
    from tests.integration.engine.ordinary_user import make_engine

    if request.param == "root":
        engine = Engine(tmp_path_factory.mktemp("engine"), rootfs)
        make(engine, "plain:latest")
        yield engine
        engine.close()
        return
    with make_engine(request.module.__name__.rpartition(".")[2], ranges=True) as engine:
        make(engine, "plain:latest")
        yield engine
