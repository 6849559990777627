"""Who takes part, on the network that containers are on who name none."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench import engines, processes
from bench.networks import traffic
from bench.workspace import REPOSITORY, TRUE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bench.contestants import Contestant
    from bench.engines import Engine
    from bench.workspace import Workspace

_SLEEP = ["/bin/sleep", "3600"]
#: How many containers join at once, and how many clients ask for that.
JOINING = 100
_CLIENTS = 8
_numbers = itertools.count()


class Rival:
    """An engine on the machine: its commands, and what stands for an image in them."""

    def __init__(self, engine: Engine, image: list[str]) -> None:
        self.engine = engine
        self.image = image

    def run(self, *options: str) -> float:
        """``run --rm`` of a program that does nothing; the seconds that took."""
        return self.engine.run("run", "--rm", *options, *self.image, TRUE)

    def start(self, *options: str) -> str:
        """Start a container that only sleeps; its name."""
        name = f"bench-{next(_numbers)}"
        self.engine.run("run", "-d", "--name", name, *options, *self.image, *_SLEEP)
        return name

    def remove(self, *names: str) -> None:
        """Remove containers."""
        self.engine.run("rm", "-f", *names)

    def inspect(self, name: str) -> tuple[int, str]:
        """The pid of a container's first process, and its address."""
        words = [*self.engine.command, "inspect", name]
        found: dict[str, Any] = json.loads(
            subprocess.run(words, env=self.engine.environment, check=True, capture_output=True).stdout
        )[0]
        return int(found["State"]["Pid"]), str(found["NetworkSettings"]["IPAddress"])


@contextmanager
def orlop(workspace: Workspace) -> Iterator[Rival]:
    """orlop, with a launcher that the first container leaves behind."""
    base = workspace.path / f"orlop-{next(_numbers)}"
    before = set(processes.descendants())
    environment = {**os.environ, "ORLOP_ROOT": str(base / "root"), "ORLOP_RUN_ROOT": str(base / "run")}
    environment.pop("ORLOP_NETWORK", None)
    engine = engines.Engine([str(REPOSITORY / "bin" / "orlop")], environment, workspace.log)
    try:
        yield Rival(engine, ["--rootfs", str(workspace.rootfs)])
    finally:
        processes.end([pid for pid in processes.descendants() if pid not in before])


@contextmanager
def docker(workspace: Workspace) -> Iterator[Rival]:
    """dockerd with its bridge and its rules."""
    with engines.docker(workspace, networked=True) as engine:
        yield Rival(engine, [engines.IMAGE])


@contextmanager
def podman(workspace: Workspace) -> Iterator[Rival]:
    """podman with its bridge and its rules."""
    with engines.podman(workspace) as engine:
        yield Rival(engine, [f"--cgroup-parent=/{workspace.tag}-podman", engines.IMAGE])


RIVALS: dict[str, Callable[[Workspace], AbstractContextManager[Rival]]] = {
    "orlop": orlop,
    "docker": docker,
    "podman": podman,
}


def _start_to_exit(name: str, *options: str) -> Contestant:
    @contextmanager
    def contestant(workspace: Workspace) -> Iterator[Callable[[], float]]:
        with RIVALS[name](workspace) as rival:
            yield lambda: rival.run(*options)

    return contestant


@contextmanager
def _hundredth(workspace: Workspace) -> Iterator[Callable[[], float]]:
    with orlop(workspace) as rival:
        names = [rival.start() for _ in range(JOINING - 1)]
        yield rival.run
        rival.remove(*names)


def _joining(name: str, count: int) -> Contestant:
    """Seconds for each of many containers that join the network, several at a time."""

    @contextmanager
    def contestant(workspace: Workspace) -> Iterator[Callable[[], float]]:
        with RIVALS[name](workspace) as rival, ThreadPoolExecutor(_CLIENTS) as pool:
            rival.run()

            def join() -> float:
                begun = time.perf_counter()
                names = list(pool.map(lambda _: rival.start(), range(count)))
                ended = time.perf_counter()
                rival.remove(*names)
                return (ended - begun) / count

            yield join

    return contestant


TIMES: dict[str, Contestant] = {
    "orlop run, no network": _start_to_exit("orlop", "--network", "none"),
    "orlop run": _start_to_exit("orlop"),
    "orlop run, a port": _start_to_exit("orlop", "-p", "17001:80"),
    "orlop run, the hundredth": _hundredth,
    "docker run, no network": _start_to_exit("docker", "--network", "none"),
    "docker run": _start_to_exit("docker"),
    "docker run, a port": _start_to_exit("docker", "-p", "17002:80"),
    "podman run, no network": _start_to_exit("podman", "--network", "none"),
    "podman run": _start_to_exit("podman"),
}
JOINS: dict[str, Contestant] = {
    "orlop, 100 join": _joining("orlop", JOINING),
    "docker, 16 join": _joining("docker", 16),
}


def carried(name: str, workspace: Workspace, outside: int, host: str) -> dict[str, float]:
    """Bits a second and seconds for a byte there and back: container to container, from outside through a port, and from here.

    Then seconds for finding out where another container is.

    ``outside`` is the pid of a process on another machine, ``host`` the address by which that reaches this one.
    """
    with RIVALS[name](workspace) as rival:
        much, little = 18000 + next(_numbers), 19000 + next(_numbers)
        server = rival.start("-p", f"{much}:{traffic.MUCH}", "-p", f"{little}:{traffic.LITTLE}")
        client = rival.start()
        pid, address = rival.inspect(server)
        with traffic.served(pid):
            from_pid, _ = rival.inspect(client)
            found = {
                "between containers, Gbit/s": traffic.throughput(from_pid, address) / 1e9,
                "through a port, Gbit/s": traffic.throughput(outside, host, much) / 1e9,
                "between containers, µs": traffic.latency(from_pid, address) * 1e6,
                "through a port, µs": traffic.latency(outside, host, little) * 1e6,
                "by the proxy at ::1, Gbit/s": traffic.throughput(os.getpid(), "::1", much) / 1e9,
                "by the proxy at ::1, µs": traffic.latency(os.getpid(), "::1", little) * 1e6,
            }
        rival.remove(server, client)
        network = f"bench-{next(_numbers)}"
        rival.engine.run("network", "create", network)
        named, asker = (rival.start("--network", network) for _ in range(2))
        pid, _ = rival.inspect(asker)
        found["looking a name up, µs"] = traffic.look_up(pid, named) * 1e6
        rival.remove(named, asker)
        rival.engine.run("network", "rm", network)
    return found
