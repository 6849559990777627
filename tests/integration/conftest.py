"""Bundles made of busybox, and runtimes to run them with.

``bundle`` makes bundles, ``runtime`` is orlop's own command line with a state root of its own, ``runc`` is
Debian's for comparison. Whatever a test leaves running is deleted after it.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPOSITORY = Path(__file__).parents[2]
BUSYBOX = "/bin/busybox"
APPLETS = (
    "sh cat echo env false grep head hostname id kill ln ls mkdir mknod mount nproc printf ps pwd readlink rm "
    "sed seq sleep sort stat stty sysctl tail test touch tr true tty umount uname wc"
)

_numbers = itertools.count()


def unique_name() -> str:
    """A container id that no other test, worker or run uses at the same time."""
    return f"orlop-test-{os.getpid()}-{next(_numbers)}"


class Bundle:
    """A bundle directory; change ``config`` and `write` it before the runtime reads it."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.rootfs = path / "rootfs"
        self.config = config

    def write(self) -> None:
        """Save ``config`` as the bundle's ``config.json``."""
        (self.path / "config.json").write_text(json.dumps(self.config))

    @property
    def process(self) -> dict[str, Any]:
        """The configuration's ``process``."""
        process: dict[str, Any] = self.config["process"]
        return process

    @property
    def linux(self) -> dict[str, Any]:
        """The configuration's ``linux``."""
        linux: dict[str, Any] = self.config["linux"]
        return linux


class BundleMaker(Protocol):
    """Makes a bundle that runs ``args``; further keywords replace fields of ``process``."""

    def __call__(self, *args: str, **process: Any) -> Bundle: ...


def busybox_root(root: Path) -> None:
    """Lay out a root file system with busybox under its usual names."""
    for directory in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
        (root / directory).mkdir(parents=True)
    shutil.copy2(BUSYBOX, root / "bin/busybox")
    for applet in APPLETS.split():
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nuser:x:1000:\n")


def plain_config(args: Sequence[str], cgroup: str) -> dict[str, Any]:
    """A configuration with the usual namespaces and mounts and few privileges."""
    capabilities = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"]
    quiet = ["nosuid", "noexec", "nodev"]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": list(args),
            "env": ["PATH=/bin:/sbin:/usr/bin:/usr/sbin"],
            "cwd": "/",
            "capabilities": {kind: list(capabilities) for kind in ("bounding", "effective", "permitted")},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": quiet},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {
                "destination": "/dev/pts",
                "type": "devpts",
                "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
            },
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*quiet, "ro"]},
        ],
        "linux": {
            "cgroupsPath": f"/{cgroup}",
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": ["/proc/kcore", "/sys/firmware"],
            "readonlyPaths": ["/proc/sys"],
        },
    }


@pytest.fixture
def bundle(tmp_path: Path) -> BundleMaker:
    """Make a written bundle: ``bundle("sleep", "10", cwd="/tmp")``."""
    if os.geteuid() != 0:
        pytest.skip("needs root: containers are made for real")
    if not os.access(BUSYBOX, os.X_OK):
        pytest.skip(f"needs {BUSYBOX} (Debian's busybox-static)")

    def make(*args: str, **process: Any) -> Bundle:
        name = unique_name()
        path = tmp_path / name
        busybox_root(path / "rootfs")
        config = plain_config(args or ("true",), name)
        config["process"].update(process)
        made = Bundle(path, config)
        made.write()
        return made

    return make


class Result:
    """How one call of a runtime ended."""

    def __init__(self, arguments: Sequence[str], status: int, output: str, errors: str) -> None:
        self.arguments = arguments
        self.status = status
        self.output = output
        self.errors = errors

    def json(self) -> Any:
        """What it printed, parsed."""
        return json.loads(self.output)

    def __repr__(self) -> str:
        return f"{' '.join(self.arguments)} -> {self.status}\nstdout: {self.output}\nstderr: {self.errors}"


class Runtime:
    """An OCI runtime's command line with a state root of its own."""

    def __init__(self, program: str, root: Path) -> None:
        self.program = program
        self.root = root

    def command(self, *arguments: str) -> list[str]:
        """The whole command line, for tests that start it themselves."""
        return [self.program, "--root", str(self.root), *arguments]

    def call(self, *arguments: str, given: str = "", timeout: float = 60, **options: Any) -> Result:
        """Run it to its end, whatever that is; ``given`` is its standard input.

        Output goes to files: a detached container inherits it, so a pipe would not end before the container.
        """
        command = self.command(*arguments)
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            source.write(given.encode())
            source.seek(0)
            done = subprocess.run(
                command, stdin=source, stdout=out, stderr=err, timeout=timeout, check=False, **options
            )
            out.seek(0)
            err.seek(0)
            return Result(command, done.returncode, out.read().decode(), err.read().decode())

    def __call__(self, *arguments: str, **options: Any) -> Result:
        """Run it and expect success."""
        result = self.call(*arguments, **options)
        assert result.status == 0, result
        return result

    def start(self, bundle: Bundle) -> str:
        """Run the bundle detached and return the container's id."""
        name = unique_name()
        self("run", "--detach", "--bundle", str(bundle.path), name)
        return name

    def create(self, bundle: Bundle) -> str:
        """Create the bundle's container and return its id."""
        name = unique_name()
        self("create", "--bundle", str(bundle.path), name)
        return name

    def state(self, name: str) -> dict[str, Any]:
        """The OCI state of a container."""
        state: dict[str, Any] = self("state", name).json()
        return state

    def delete_all(self) -> None:
        """Delete every container below the root."""
        if self.root.is_dir():
            for name in os.listdir(self.root):
                self("delete", "--force", name)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """orlop's runtime."""
    made = Runtime(str(REPOSITORY / "bin/orlop-runtime"), tmp_path / "orlop-root")
    yield made
    made.delete_all()


@pytest.fixture
def runc(tmp_path: Path) -> Iterator[Runtime]:
    """Debian's runc, to compare with."""
    program = shutil.which("runc")
    if program is None:
        pytest.skip("needs runc to compare with")
    made = Runtime(program, tmp_path / "runc-root")
    yield made
    made.delete_all()
