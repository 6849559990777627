"""A container's program says that it is ready, as sd_notify(3) does, and whoever started the runtime hears of it.

Where ``NOTIFY_SOCKET`` is set, a directory of the container's state directory is mounted on `INSIDE`, read-only, and the
program's own ``NOTIFY_SOCKET`` is a socket in it. The service manager's socket itself is never in reach of the
container: only the word that it is ready is passed on, with the pid that the runtime knows, and nothing else that
it says, since a message may also name a main process or ask for more time.
"""

from __future__ import annotations

import _socket
import os
import select

from orlop.errors import OrlopError
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.runtime.container import Container

VARIABLE = "NOTIFY_SOCKET"
INSIDE = "/run/notify"
_DIRECTORY = "notify"
_SOCKET = "notify.sock"
_LARGEST = 4096
#: Milliseconds that the service manager may take to say that it has read what it was told.
_PATIENCE = 30_000


def prepare(container: Container, spec: dict[str, Any]) -> dict[str, Any]:
    """Make the directory; returns the configuration with its mount and the variable, and leaves ``spec`` as it is."""
    directory = f"{container.directory}/{_DIRECTORY}"
    with step("make directory", directory):
        os.mkdir(directory, 0o755)
    options = ["bind", "nosuid", "noexec", "nodev", "ro"]
    mount = {"destination": INSIDE, "type": "bind", "source": directory, "options": options}
    process = spec["process"]
    entries = [*(process.get("env") or ()), f"{VARIABLE}={INSIDE}/{_SOCKET}"]
    return {**spec, "mounts": [*(spec.get("mounts") or ()), mount], "process": {**process, "env": entries}}


def is_prepared(container: Container) -> bool:
    """Whether `prepare` was called for this container when it was created."""
    return os.path.isdir(f"{container.directory}/{_DIRECTORY}")


class Relay:
    """Listens to one container, from before its program runs.

    Raises:
        StepFailed: the service manager cannot be reached at ``manager``, or nobody can listen in the state directory.
    """

    __slots__ = ("_inside", "_manager")

    def __init__(self, container: Container, manager: str) -> None:
        self._manager = _datagrams()
        self._inside = _datagrams()
        try:
            with step("connect to NOTIFY_SOCKET", manager):
                self._manager.connect(f"\0{manager[1:]}" if manager.startswith("@") else manager)
            self._listen(f"{container.directory}/{_DIRECTORY}")
        except BaseException:
            self.close()
            raise

    def _listen(self, path: str) -> None:
        with step("listen on", f"{path}/{_SOCKET}"):
            directory = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                try:
                    os.unlink(_SOCKET, dir_fd=directory)
                except FileNotFoundError:
                    pass  # as a rule; else an earlier start failed
                # By way of the descriptor: a socket's path is limited to 107 bytes.
                self._inside.bind(f"/proc/self/fd/{directory}/{_SOCKET}")
                os.chmod(_SOCKET, 0o777, dir_fd=directory)  # the program may be any user's
            finally:
                os.close(directory)

    def close(self) -> None:
        """Stop listening."""
        self._manager.close()
        self._inside.close()

    def wait(self, process: int, main_pid: int) -> None:
        """Wait for the word, and pass it on; return without it if the process of this pidfd ends.

        ``main_pid`` is that process, which the service manager is to watch from then on.

        Raises:
            StepFailed: the service manager is gone.
        """
        poll = select.poll()
        poll.register(self._inside, select.POLLIN)
        poll.register(process, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            # What it said just before its end still counts.
            if self._inside.fileno() not in ready:
                return
            if b"READY=1" in self._inside.recv(_LARGEST).split(b"\n"):
                with step("tell NOTIFY_SOCKET"):
                    self._tell(main_pid)
                return

    def _tell(self, main_pid: int) -> None:
        self._manager.send(b"READY=1\n")
        self._manager.send(f"MAINPID={main_pid}\n".encode())
        # Who ends before it is heard may not be believed: the sender's cgroup is looked up by its pid (sd_notify_barrier(3)).
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, writer.to_bytes(4, "little"))]
            self._manager.sendmsg([b"BARRIER=1"], rights)
        finally:
            os.close(writer)
        poll = select.poll()
        poll.register(reader, 0)
        try:
            poll.poll(_PATIENCE)
        finally:
            os.close(reader)

    def wait_aside(self, process: int, main_pid: int, foreign: int) -> None:
        """`wait` in a process of its own, which ends with the container; ``foreign`` is a descriptor that it is not to hold."""
        if os.fork():
            return
        try:
            if foreign >= 0:
                os.close(foreign)
            self.wait(process, main_pid)
        except OrlopError as error:
            os.write(2, f"orlop-runtime: {error}\n".encode())
        finally:
            os._exit(0)


def _datagrams() -> _socket.socket:
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
