"""A place of its own for one foreign engine: its directory, its /run, its cgroups, and the end of it all."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

CGROUPS = "/sys/fs/cgroup"


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until ``condition()`` is true; fail the test when it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {condition}"
        time.sleep(0.01)


class Home:
    """A private mount namespace with an empty /run, in which an engine and its clients are started.

    Everything that engines scatter over /run (shim sockets, network namespaces, runtime state) and
    every mount they make disappears with it. ``cgroup`` is the parent to give to containers. ``uids``
    are those that only this home's processes have.
    """

    def __init__(self, directory: Path, uids: range = range(0)) -> None:
        self.directory = directory
        self._uids = uids
        self.cgroup = f"/{directory.name}"
        script = "mount -t tmpfs -o mode=755 tmpfs /run && echo ready && exec cat"
        self._keeper = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == b"ready\n"
        self._namespace = f"/proc/{self._keeper.pid}/ns/mnt"
        self._daemons: list[subprocess.Popen[bytes]] = []

    def _inside(self, command: list[str]) -> list[str]:
        return ["nsenter", f"--mount={self._namespace}", "--", *command]

    def run(
        self,
        command: list[str],
        *,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        seconds: float = 30.0,
    ) -> Result:
        done = subprocess.run(
            self._inside(command),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def run_on_terminal(
        self,
        command: list[str],
        *,
        rows: int,
        columns: int,
        typed: str = "",
        once: str = "",
        env: Mapping[str, str] | None = None,
        seconds: float = 30.0,
    ) -> Result:
        """Run a command whose standard streams are a terminal of the given size; ``out`` is its screen.

        ``typed`` is typed when the screen shows ``once``.
        """
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *self._inside(command)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **(env or {})},
        )
        os.close(slave)
        screen = b""
        deadline = time.monotonic() + seconds
        try:
            while True:
                if typed and once.encode() in screen:
                    os.write(master, typed.encode())
                    typed = ""
                ready, _, _ = select.select([master], [], [], max(0.0, deadline - time.monotonic()))
                assert ready, f"{command} does not end; its screen: {screen!r}"
                try:
                    data = os.read(master, 65536)
                except OSError as error:
                    if error.errno != errno.EIO:  # EIO: nobody holds the other end any more
                        raise
                    break
                screen += data
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            os.close(master)
        return Result(code, screen.decode(errors="replace").replace("\r\n", "\n"), "")

    def replace_file(self, path: str, text: str) -> None:
        """Give the engine another content of a file of the machine, of /etc/subuid for one."""
        own = self.directory / path.strip("/").replace("/", "-")
        own.write_text(text)
        assert self.run(["mount", "--bind", str(own), path]).code == 0

    def start_daemon(self, command: list[str], ready: Callable[[], bool]) -> None:
        """Start a daemon that logs to ``daemon.log`` and wait until it answers."""
        log = self.directory / "daemon.log"
        with log.open("wb") as stream:
            daemon = subprocess.Popen(
                self._inside(command), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
            )
        self._daemons.append(daemon)
        deadline = time.monotonic() + 30
        while not ready():
            assert daemon.poll() is None, f"{command[0]} did not start:\n{log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"{command[0]} does not answer:\n{log.read_text()[-2000:]}"
            time.sleep(0.02)

    def cgroup_file(self, controller: str, path: str, name: str) -> str:
        """Read one file of a cgroup below this home's parent."""
        with open(f"{CGROUPS}/{controller}{self.cgroup}/{path}/{name}") as stream:
            return stream.read().strip()

    def is_frozen(self, path: str) -> bool:
        """Whether a cgroup below this home's parent stands still, by whichever freezer there is."""
        if self.cgroup_file("freezer", path, "freezer.state") == "FROZEN":
            return True
        return "frozen 1" in self.cgroup_file("unified", path, "cgroup.events").splitlines()

    def close(self) -> None:
        """End the daemons, then whatever they left: processes, cgroups, mounts, files."""
        self._kill(self._contained())  # a container left running would hold the daemon up for ten seconds
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        deadline = time.monotonic() + 10
        while remaining := self._processes():
            self._kill(remaining)
            assert time.monotonic() < deadline, f"processes {remaining} of {self.directory} do not end"
            time.sleep(0.02)
        for directory in self._cgroups():
            os.rmdir(directory)
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.close()
        self._keeper.stdout.close()
        self._keeper.wait(10)
        shutil.rmtree(self.directory)

    def _cgroups(self) -> list[str]:
        """All directories of this home's cgroups, children first."""
        found = []
        for hierarchy in os.listdir(CGROUPS):
            top = f"{CGROUPS}/{hierarchy}{self.cgroup}"
            found += [path for path, _, _ in os.walk(top, topdown=False)]
        return found

    @staticmethod
    def _kill(pids: set[int]) -> None:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _contained(self) -> set[int]:
        """Who lives in this home's cgroups, thawed so that a signal reaches them."""
        pids = set()
        for directory in self._cgroups():
            if "/freezer/" in directory:
                with open(f"{directory}/freezer.state", "w") as stream:
                    stream.write("THAWED")  # SIGKILL does not reach what a v1 freezer holds
            with open(f"{directory}/cgroup.procs") as stream:
                pids |= {int(line) for line in stream if line.strip() != "0"}
        return pids

    def _processes(self) -> set[int]:
        """Who lives in this home's mount namespace, in its cgroups or as its users, its keeper apart."""
        namespace = os.readlink(self._namespace)
        pids = set()
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{name}").st_uid in self._uids or os.readlink(f"/proc/{name}/ns/mnt") == namespace:
                    pids.add(int(name))
            except OSError:
                continue
        return (pids | self._contained()) - {self._keeper.pid}
