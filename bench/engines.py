"""Private instances of the container engines: their own directories, sockets and cgroups, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import processes
from bench.processes import ProgramFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.workspace import Workspace

#: The name of the image that holds the benchmark's root file system.
IMAGE = "orlop-bench"


class Absent(Exception):
    """A contestant cannot take part on this machine; the text says why."""


def program(name: str) -> str:
    """The path of an installed program.

    Raises:
        Absent: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise Absent(f"{name} is not installed")
    return path


@dataclass(frozen=True)
class Engine:
    """An engine that is ready: what its commands begin with, and their environment."""

    command: list[str]
    environment: Mapping[str, str]
    log: str

    def run(self, *words: str) -> float:
        """Run one of its commands; return the seconds that took."""
        return processes.seconds_to_run([*self.command, *words], self.log, self.environment)


def _archive(workspace: Workspace) -> str:
    archive = workspace.path / "rootfs.tar"
    if not archive.exists():
        subprocess.run(["tar", "-C", workspace.rootfs, "-cf", archive, "."], check=True)
    return str(archive)


def remove_cgroups(name: str) -> None:
    """Remove the cgroups of this name, which hold no process any more, from every hierarchy."""
    # Only where a hierarchy begins: deeper down, other processes' groups come and go while one looks.
    mounted = Path("/sys/fs/cgroup")
    for top in (mounted / name, *mounted.glob(f"*/{name}")):
        for directory, _, _ in os.walk(top, topdown=False):
            os.rmdir(directory)


def _daemon(command: list[str], log: str, socket: Path) -> int:
    """Start a daemon and wait until its socket is there."""
    with open(log, "ab") as output:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    deadline = time.monotonic() + 30
    while not socket.exists():
        if daemon.poll() is not None or time.monotonic() > deadline:
            with open(log, errors="replace") as text:
                raise Absent(f"{command[0]} does not start: {text.read()[-500:].strip()}")
        time.sleep(0.05)
    return daemon.pid


@contextmanager
def docker(workspace: Workspace, *, networked: bool = False) -> Iterator[Engine]:
    """A dockerd and a containerd of our own, holding the image; without networking, unless that is wanted.

    Raises:
        Absent: they are not installed or do not start.
    """
    containerd, dockerd, client = program("containerd"), program("dockerd"), program("docker")
    if os.access("/usr/bin/docker", os.X_OK):
        client = "/usr/bin/docker"  # the client that Debian's dockerd came with
    home = Path(tempfile.mkdtemp(prefix="docker-", dir=workspace.path))
    (home / "client").mkdir()
    log = str(home / "log")
    before = set(processes.descendants())
    parent = f"{workspace.tag}-docker"
    try:
        (home / "containerd.toml").write_text("version = 2\n")
        paths = ["--root", str(home / "containerd"), "--state", str(home / "containerd-state")]
        address = home / "containerd.sock"
        _daemon(
            [containerd, "--config", str(home / "containerd.toml"), *paths, "--address", str(address)], log, address
        )
        socket = home / "docker.sock"
        options = [
            *("--host", f"unix://{socket}", "--containerd", str(address), "--pidfile", str(home / "pid")),
            *("--data-root", str(home / "data"), "--exec-root", str(home / "exec")),
            *(() if networked else ("--bridge", "none", "--iptables=false", "--ip6tables=false")),
            *("--cgroup-parent", f"/{parent}"),
            *("--config-file", str(home / "daemon.json"), "--storage-driver", "overlay2"),
        ]
        (home / "daemon.json").write_text("{}")
        _daemon([dockerd, *options], log, socket)
        environment = {**os.environ, "DOCKER_CONFIG": str(home / "client")}
        engine = Engine([client, "--host", f"unix://{socket}"], environment, log)
        engine.run("import", _archive(workspace), IMAGE)
        yield engine
        with open(log, "ab") as output:
            found = subprocess.run(
                [*engine.command, "ps", "-aq"],
                env=environment,
                check=True,
                text=True,
                stdout=subprocess.PIPE,
                stderr=output,
            )
        if found.stdout.split():
            engine.run("rm", "--force", *found.stdout.split())
    finally:
        # dockerd before containerd, which it would otherwise wait for.
        ours = [pid for pid in processes.descendants() if pid not in before]
        named = {process.pid: process.name for process in processes.in_host_namespace(ours)}
        processes.end([pid for pid in ours if named.get(pid) == "dockerd"])
        processes.end([pid for pid in processes.descendants() if pid not in before])
        _unmount_below(home)
        remove_cgroups(parent)


@contextmanager
def podman(workspace: Workspace) -> Iterator[Engine]:
    """A podman with storage and settings of its own, with runc, holding the image.

    Raises:
        Absent: it is not installed or does not run here.
    """
    path = program("podman")
    program("conmon")
    home = Path(tempfile.mkdtemp(prefix="podman-", dir=workspace.path))
    log = str(home / "log")
    before = set(processes.descendants())
    parent = f"{workspace.tag}-podman"
    # Podman asks for more open files than a machine without CAP_SYS_RESOURCE can give.
    (home / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
        f'[engine]\nevents_logger = "file"\ncgroup_manager = "cgroupfs"\ntmp_dir = "{home}/tmp"\n'
    )
    (home / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{home}/storage"\nrunroot = "{home}/run"\n'
    )
    environment = {
        **os.environ,
        "CONTAINERS_CONF": str(home / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(home / "storage.conf"),
    }
    engine = Engine([path, "--runtime", "runc"], environment, log)
    try:
        try:
            engine.run("import", _archive(workspace), IMAGE)
        except ProgramFailed as reason:
            raise Absent(str(reason)) from reason
        yield engine
        engine.run("rm", "--all", "--force", "--time", "0")
    finally:
        processes.end([pid for pid in processes.descendants() if pid not in before])
        _unmount_below(home)
        remove_cgroups(parent)


def _unmount_below(directory: Path) -> None:
    """Undo the mounts that an engine left below its own directory, the latest first."""
    with open("/proc/self/mountinfo") as table:
        points = [line.split()[4] for line in table]
    for point in reversed(points):
        if point.startswith(f"{directory}/"):
            subprocess.run(["umount", "--lazy", point], check=True)
