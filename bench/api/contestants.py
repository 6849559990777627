"""Two servers with the same image, and what is asked of both."""

from __future__ import annotations

import itertools
import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench import engines, processes
from bench.api.client import Client
from bench.workspace import REPOSITORY, TRUE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bench.contestants import Contestant
    from bench.workspace import Workspace

_numbers = itertools.count()
_NO_NETWORK = {"NetworkMode": "none"}
#: Containers that are there when they are listed.
_LISTED = 1000
#: Containers that are started at once, and clients that ask for that.
_STARTED = 100
_CLIENTS = 8


@contextmanager
def orlop(workspace: Workspace) -> Iterator[str]:
    """The socket of an `orlop serve` of its own, which has the image."""
    home = Path(tempfile.mkdtemp(prefix="serve-", dir=workspace.path))
    command = [str(REPOSITORY / "bin/orlop"), "--root", str(home / "root"), "--run-root", str(home / "run")]
    path = home / "docker.sock"
    with open(home / "log", "ab") as log:
        server = subprocess.Popen([*command, "serve", "-H", f"unix://{path}"], stdout=log, stderr=log)
        try:
            _import(command, workspace)
            while not path.exists():
                time.sleep(0.01)
            yield str(path)
        finally:
            server.terminate()
            server.wait()
            found = subprocess.run([*command, "ps", "-aq"], check=True, capture_output=True, text=True).stdout.split()
            if found:
                subprocess.run([*command, "rm", "-f", *found], check=True, stdout=log, stderr=log)
            processes.end([each for each in processes.descendants() if os.fsencode(str(home)) in _words(each)])


def _import(command: list[str], workspace: Workspace) -> None:
    archive = subprocess.Popen(["tar", "-C", workspace.rootfs, "-c", "."], stdout=subprocess.PIPE)
    subprocess.run([*command, "import", "-", engines.IMAGE], stdin=archive.stdout, check=True, capture_output=True)
    archive.wait()


@contextmanager
def docker(workspace: Workspace) -> Iterator[str]:
    """The socket of a dockerd of its own, which has the image."""
    with engines.docker(workspace) as engine:
        yield engine.command[-1].removeprefix("unix://")


def _create(client: Client, command: list[str]) -> str:
    body = {"Image": engines.IMAGE, "Cmd": command, "HostConfig": _NO_NETWORK}
    return str(client.ask("POST", f"/v1.41/containers/create?name=bench-{next(_numbers)}", body)["Id"])


def _life(path: str) -> Iterator[Callable[[], float]]:
    """Create, start, wait and remove a container whose program does nothing."""
    client = Client(path)

    def run() -> float:
        begun = time.perf_counter()
        name = _create(client, [TRUE])
        client.ask("POST", f"/v1.41/containers/{name}/start")
        client.ask("POST", f"/v1.41/containers/{name}/wait")
        client.ask("DELETE", f"/v1.41/containers/{name}")
        return time.perf_counter() - begun

    yield run
    client.close()


def _exec(path: str) -> Iterator[Callable[[], float]]:
    """Execute a program that does nothing, and hear how it ended."""
    client = Client(path)
    name = _create(client, ["/bin/sleep", "3600"])
    client.ask("POST", f"/v1.41/containers/{name}/start")

    def run() -> float:
        begun = time.perf_counter()
        command = client.ask("POST", f"/v1.41/containers/{name}/exec", {"Cmd": [TRUE], "AttachStdout": True})["Id"]
        client.ask("POST", f"/v1.41/exec/{command}/start", {"Detach": False})
        client.close()  # the stream's end is the connection's
        while client.ask("GET", f"/v1.41/exec/{command}/json")["Running"]:
            pass
        return time.perf_counter() - begun

    yield run
    client.ask("DELETE", f"/v1.41/containers/{name}?force=1")
    client.close()


def _list(path: str) -> Iterator[Callable[[], float]]:
    """List a thousand containers that do not run."""
    client = Client(path)
    made = [_create(client, [TRUE]) for _ in range(_LISTED)]

    def run() -> float:
        begun = time.perf_counter()
        client.ask("GET", "/v1.41/containers/json?all=1")
        return time.perf_counter() - begun

    yield run
    for each in made:
        client.ask("DELETE", f"/v1.41/containers/{each}")
    client.close()


def _many(path: str) -> Iterator[Callable[[], float]]:
    """Create and start a hundred containers, eight clients at once."""

    def start(count: int) -> list[str]:
        client = Client(path)
        names = []
        for _ in range(count):
            names.append(_create(client, ["/bin/sleep", "3600"]))
            client.ask("POST", f"/v1.41/containers/{names[-1]}/start")
        client.close()
        return names

    def run() -> float:
        counts = [_STARTED // _CLIENTS + (each < _STARTED % _CLIENTS) for each in range(_CLIENTS)]
        with ThreadPoolExecutor(_CLIENTS) as pool:
            begun = time.perf_counter()
            names = [name for found in pool.map(start, counts) for name in found]
            taken = time.perf_counter() - begun
        client = Client(path)
        for each in names:
            client.ask("DELETE", f"/v1.41/containers/{each}?force=1")
        client.close()
        return taken

    yield run


def _of(
    server: Callable[[Workspace], AbstractContextManager[str]], asked: Callable[[str], Iterator[Callable[[], float]]]
) -> Contestant:
    @contextmanager
    def contestant(workspace: Workspace) -> Iterator[Callable[[], float]]:
        with server(workspace) as path:
            yield from asked(path)

    return contestant


_SERVERS = {"orlop": orlop, "docker": docker}
TIMES = {
    f"{name}, {what}": _of(server, asked)
    for what, asked in (("life", _life), ("exec", _exec), ("list 1000", _list))
    for name, server in _SERVERS.items()
}
MANY = {f"{name}, 100 at once": _of(server, _many) for name, server in _SERVERS.items()}


def idle_memory(workspace: Workspace) -> int:
    """Resident bytes of an idle server."""
    with orlop(workspace):
        [server] = [each for each in processes.descendants() if _is_server(each)]
        with open(f"/proc/{server}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _is_server(pid: int) -> bool:
    words = _words(pid).split(b"\0")
    return b"serve" in words and words[0].endswith(b"python3")


def _words(pid: int) -> bytes:
    """A process's command line; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
