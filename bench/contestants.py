"""Who takes part.

A contestant is a function that is given the workspace and yields another function, which runs ``/bin/true``
in a container once and returns the seconds that took from start to exit. Whatever comes before and after is
not measured. An idler yields a function that starts one container which only sleeps. Either raises
`engines.Absent` where it cannot take part. To add one, write it and list it below.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from bench import engines, processes
from bench.engines import program
from bench.processes import LIBC, seconds_to_run
from bench.workspace import REPOSITORY, TRUE, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

Contestant = Callable[[Workspace], AbstractContextManager[Callable[[], float]]]
Idler = Callable[[Workspace], AbstractContextManager[Callable[[int], None]]]

_CLONE_NEWNS = 0x00020000  # unshare(2); os.unshare is new in Python 3.12
_SLEEP = ["/bin/sleep", "3600"]
#: Mebibytes of lines that a container which logs writes.
_WRITTEN = 128
_LINE = "2026-01-02 03:04:05.678 INFO service.module: request 4711 of client 10.0.0.1 was served in 12 ms"


@contextmanager
def floor(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """The floor program, its own start included."""
    command = [str(workspace.floor), str(workspace.rootfs), TRUE]
    yield lambda: seconds_to_run(command, workspace.log)


@contextmanager
def floor_calls(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """The floor program's system calls by its own clock: what a process that already runs would need."""
    command = [str(workspace.floor), "--time", str(workspace.rootfs), TRUE]

    def run() -> float:
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        return int(result.stdout) / 1e9

    yield run


def _bundle_command(path: str, workspace: Workspace, name: str) -> Callable[[], list[str]]:
    numbers = itertools.count()
    state = workspace.path / f"{name}-state"

    def command() -> list[str]:
        container = f"{workspace.tag}-{name}-{next(numbers)}"
        return [path, "--root", str(state), "run", "--bundle", str(workspace.bundle), container]

    return command


@contextmanager
def orlop_runtime(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """Our runtime, started from this checkout."""
    command = _bundle_command(str(REPOSITORY / "bin" / "orlop-runtime"), workspace, "orlop-runtime")
    yield lambda: seconds_to_run(command(), workspace.log)


@contextmanager
def runc(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """The reference implementation."""
    command = _bundle_command(program("runc"), workspace, "runc")
    yield lambda: seconds_to_run(command(), workspace.log)


@contextmanager
def crun(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """crun, where the hierarchies are hybrid in a mount namespace without ``unified``, which crun 1.8 refuses."""
    command = _bundle_command(program("crun"), workspace, "crun")
    with _elsewhere(_leave_unified, lambda: seconds_to_run(command(), workspace.log)) as run:
        yield run


def _leave_unified() -> None:
    if not os.path.ismount("/sys/fs/cgroup/unified"):
        return
    if LIBC.unshare(_CLONE_NEWNS) != 0:
        raise OSError("unshare of the mount namespace failed")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["umount", "/sys/fs/cgroup/unified"], check=True)


@contextmanager
def _elsewhere(go: Callable[[], None], run: Callable[[], float]) -> Iterator[Callable[[], float]]:
    """Have ``run`` called in a child process that first did ``go``; the measuring is done there, too."""
    asking, asked = os.pipe()
    answering, answered = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(asked)
            os.close(answering)
            go()
            while os.read(asking, 1):
                try:
                    answer: object = run()
                except processes.ProgramFailed as error:
                    answer = str(error)
                os.write(answered, json.dumps(answer).encode() + b"\n")
            status = 0
        finally:
            os._exit(status)
    os.close(asking)
    os.close(answered)

    def ask() -> float:
        os.write(asked, b"\n")
        answer = json.loads(answers.readline() or '"the measuring process has ended"')
        if isinstance(answer, str):
            raise processes.ProgramFailed(answer)
        return float(answer)

    with os.fdopen(answering) as answers:
        try:
            yield ask
        finally:
            os.close(asked)
            os.waitpid(pid, 0)


def _orlop(workspace: Workspace, home: str) -> engines.Engine:
    base = workspace.path / home
    environment = {**os.environ, "ORLOP_ROOT": str(base / "root"), "ORLOP_RUN_ROOT": str(base / "run")}
    return engines.Engine([str(REPOSITORY / "bin" / "orlop")], environment, workspace.log)


@contextmanager
def launcher(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """A warm launcher, asked from a process that already runs: from the request to the word that the program ended.

    Writing the record and the bundle comes before and is not measured, as for the floor program.
    """
    from orlop.engine import create, frames, start
    from orlop.engine.location import locate
    from orlop.engine.settings import Settings

    base = workspace.path / "launcher"
    before = set(processes.descendants())
    place = locate(root=str(base / "root"), run_root=str(base / "run"))

    def run() -> float:
        settings = Settings(rootfs=str(workspace.rootfs), command=[TRUE])
        settings.network = "none"
        settings.auto_remove = True
        made = create.create(place, settings)
        begun = time.perf_counter()
        session = start.start(made.container, None, stays=True)
        session.wait_started()
        os.close(made.lock)
        while (frame := session.receive()) is not None and frame[0] != frames.EXITED:
            continue
        ended = time.perf_counter()
        if frame is None or frame[1] != b"\0":
            raise processes.ProgramFailed(f"the container ended with {frame}")
        session.socket.close()
        return ended - begun

    try:
        yield run
    finally:
        processes.end([pid for pid in processes.descendants() if pid not in before])


@contextmanager
def library(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """`orlop.Engine` that is open already, from the call to the result in a process that already runs."""
    import orlop

    base = workspace.path / "library"
    before = set(processes.descendants())

    def run() -> float:
        begun = time.perf_counter()
        result = engine.containers.run(rootfs=workspace.rootfs, command=[TRUE], network="none")
        ended = time.perf_counter()
        if not result.ok:
            raise processes.ProgramFailed(f"the container ended with {result}")
        return ended - begun

    try:
        with orlop.Engine(base / "root", base / "run") as engine:
            yield run
    finally:
        processes.end([pid for pid in processes.descendants() if pid not in before])


@contextmanager
def library_eight(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """The same by eight threads at a time: seconds for each of 100 containers."""
    from concurrent.futures import ThreadPoolExecutor

    with library(workspace) as run, ThreadPoolExecutor(8) as pool:

        def run_all() -> float:
            begun = time.perf_counter()
            list(pool.map(lambda _: run(), range(100)))
            return (time.perf_counter() - begun) / 100

        yield run_all


@contextmanager
def docker_run_eight(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """``docker run``, eight at a time: seconds for each of 16 containers."""
    from concurrent.futures import ThreadPoolExecutor

    with docker_run(workspace) as run, ThreadPoolExecutor(8) as pool:

        def run_all() -> float:
            begun = time.perf_counter()
            list(pool.map(lambda _: run(), range(16)))
            return (time.perf_counter() - begun) / 16

        yield run_all


@contextmanager
def orlop_run(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """``orlop run`` with the launcher that the warm-up rounds left behind."""
    engine = _orlop(workspace, "orlop")
    before = set(processes.descendants())
    words = ["run", "--rm", "--network", "none", "--rootfs", str(workspace.rootfs), TRUE]
    try:
        yield lambda: engine.run(*words)
    finally:
        processes.end([pid for pid in processes.descendants() if pid not in before])


@contextmanager
def orlop_ps(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """``orlop ps -a`` by an interpreter of its own, with a thousand containers that have ended."""
    from orlop.engine import container, create
    from orlop.engine.location import Location
    from orlop.engine.settings import Settings

    engine = _orlop(workspace, "thousand")
    base = workspace.path / "thousand"
    location = Location(str(base / "root"), str(base / "run"), rootless=False)
    for _ in range(1000):
        settings = Settings(rootfs=str(workspace.rootfs))
        settings.network = "none"
        settings.command = [TRUE]
        made = create.create(location, settings)
        made.container.write_state(container.new_state("exited"))
        made.leave()
    yield lambda: engine.run("ps", "-a")


@contextmanager
def orlop_ps_of_none(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """``orlop ps -a`` without any container: what the interpreter's start takes."""
    engine = _orlop(workspace, "none")
    yield lambda: engine.run("ps", "-a")


@contextmanager
def orlop_run_first(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """``orlop run`` as the first command on a machine: new directories and no launcher each time."""
    numbers = itertools.count()

    def run() -> float:
        engine = _orlop(workspace, f"orlop-first-{next(numbers)}")
        before = set(processes.descendants())
        try:
            return engine.run("run", "--rm", "--network", "none", "--rootfs", str(workspace.rootfs), TRUE)
        finally:
            processes.end([pid for pid in processes.descendants() if pid not in before])

    yield run


@contextmanager
def docker_run(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """``docker run`` against a dockerd that is already there."""
    with engines.docker(workspace) as engine:
        yield lambda: engine.run("run", "--rm", "--network", "none", engines.IMAGE, TRUE)


@contextmanager
def podman_run(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """``podman run`` with runc."""
    with engines.podman(workspace) as engine:
        words = ["run", "--rm", "--network", "none", f"--cgroup-parent=/{workspace.tag}-podman", engines.IMAGE, TRUE]
        yield lambda: engine.run(*words)


def _writing(mebibytes: int) -> list[str]:
    return ["/bin/sh", "-c", f"yes '{_LINE}' | head -c {mebibytes << 20}"]


@contextmanager
def orlop_logs(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """A container that writes lines, which its monitor logs; nobody is attached to them."""
    engine = _orlop(workspace, "orlop-logs")
    before = set(processes.descendants())
    words = ["run", "--rm", "--attach", "stderr", "--network", "none", "--rootfs", str(workspace.rootfs)]
    try:
        yield lambda: engine.run(*words, *_writing(_WRITTEN))
    finally:
        processes.end([pid for pid in processes.descendants() if pid not in before])


@contextmanager
def docker_logs(workspace: Workspace) -> Iterator[Callable[[], float]]:
    """The same with docker, whose log driver is json-file too."""
    with engines.docker(workspace) as engine:
        words = ["run", "--rm", "--attach", "stderr", "--network", "none", engines.IMAGE]
        yield lambda: engine.run(*words, *_writing(_WRITTEN))


@contextmanager
def orlop_idle(workspace: Workspace) -> Iterator[Callable[[int], None]]:
    """Detached containers of ``orlop run``; its monitors and its launcher count."""
    with _orlop_idle(workspace, _SLEEP) as start:
        yield start


@contextmanager
def orlop_idle_after_writing(workspace: Workspace) -> Iterator[Callable[[int], None]]:
    """The same after each container has written lines to its log: what a monitor has used for that, it gives back."""
    with _orlop_idle(workspace, ["/bin/sh", "-c", f"{_writing(_WRITTEN // 4)[-1]}; /bin/sleep 3600"]) as start:
        yield start


@contextmanager
def _orlop_idle(workspace: Workspace, command: list[str]) -> Iterator[Callable[[int], None]]:
    engine = _orlop(workspace, "orlop-idle")
    before = set(processes.descendants())
    started: list[str] = []

    def start(number: int) -> None:
        name = f"idle-{number}"
        engine.run("run", "-d", "--name", name, "--network", "none", "--rootfs", str(workspace.rootfs), *command)
        started.append(name)

    try:
        yield start
    finally:
        if started:
            engine.run("rm", "--force", *started)
        processes.end([pid for pid in processes.descendants() if pid not in before])


@contextmanager
def docker_idle(workspace: Workspace) -> Iterator[Callable[[int], None]]:
    """Detached containers of ``docker run``; the daemons' share is listed by itself."""
    with engines.docker(workspace) as engine:

        def start(_number: int) -> None:
            engine.run("run", "--detach", "--network", "none", engines.IMAGE, *_SLEEP)

        yield start


@contextmanager
def podman_idle(workspace: Workspace) -> Iterator[Callable[[int], None]]:
    """Detached containers of ``podman run``."""
    with engines.podman(workspace) as engine:
        parent = f"--cgroup-parent=/{workspace.tag}-podman"

        def start(_number: int) -> None:
            engine.run("run", "--detach", "--network", "none", parent, engines.IMAGE, *_SLEEP)

        yield start


CONTESTANTS: dict[str, Contestant] = {
    "floor, calls only": floor_calls,
    "floor": floor,
    "launcher": launcher,
    "engine.containers.run": library,
    "orlop-runtime run": orlop_runtime,
    "crun run": crun,
    "runc run": runc,
    "orlop run": orlop_run,
    "orlop run, first": orlop_run_first,
    "orlop ps -a, 1000 containers": orlop_ps,
    "orlop ps -a, none": orlop_ps_of_none,
    "docker run": docker_run,
    "podman run": podman_run,
    "engine.containers.run, 8 at a time": library_eight,
    "docker run, 8 at a time": docker_run_eight,
    f"orlop run, {_WRITTEN} MiB of log": orlop_logs,
    f"docker run, {_WRITTEN} MiB of log": docker_logs,
}

IDLERS: dict[str, Idler] = {
    "orlop run": orlop_idle,
    "orlop run, after writing 32 MiB of log": orlop_idle_after_writing,
    "docker run": docker_idle,
    "podman run": podman_idle,
}
