"""Other OCI runtimes than ours: ``--runtime runc``, ``--runtime /path/to/crun``.

The bundle is complete, so the runtime's own command line creates and starts the container from it. It runs in a mount
namespace of its own, in which the container's root file system is mounted; the container's init becomes a child
of its monitor, as always. What is done to the container later goes by its namespaces, its control group and its init, as
with our own runtime, whose state it gets. That a runtime has to clear away something of its own in the end is noted in
``<run root>/extras/<container's id>/runtime``.
"""

from __future__ import annotations

import _signal
import _socket
import os
import select
import time

from orlop import clock, json_text
from orlop.engine import container
from orlop.engine.host_config import OWN_RUNTIME
from orlop.errors import (
    CommandNotExecutable,
    CommandNotFound,
    InvalidArgument,
    NotFound,
    OrlopError,
    StepFailed,
    Unsupported,
)
from orlop.linux import cgroup, mount, namespace, pidfd, procfs
from orlop.runtime.container import CGROUP_FILE, CONFIG_FILE
from orlop.runtime.container import Container as RuntimeContainer
from orlop.storage import mounts as snapshots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from orlop.engine.location import Location
    from orlop.runtime.request import Request
    from orlop.storage.mounts import Mount

_NOTE = "runtime"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Seconds that a runtime may take for what it does, beyond which it hangs.
_PATIENCE = 60


def find(name: str) -> str:
    """The program of a runtime, given by its name or its path; empty for our own.

    Raises:
        InvalidArgument: there is no such program.
    """
    if name == OWN_RUNTIME:
        return ""
    candidates = [name] if "/" in name else [f"{directory}/{name}" for directory in _PATH.split(":")]
    for path in candidates:
        if path.startswith("/") and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise InvalidArgument(f"unknown or invalid runtime name: {name}: it is no program on this machine")


class Elsewhere:
    """A container that another runtime has created, as `orlop.runtime.create.Created`."""

    __slots__ = ("_program", "console", "container", "pid", "pidfd", "warnings")

    def __init__(self, program: _Program, made: RuntimeContainer, descriptor: int, console: int) -> None:
        self._program = program
        self.container = made
        self.pid = made.pid
        self.pidfd = descriptor
        self.console = console
        self.warnings: list[str] = []

    def release(self) -> None:
        """Start the program. Returns once it runs.

        Raises:
            OrlopError: the runtime refuses.
        """
        self._program.run("start", self.container.id)


def create(target: container.Container, request: Request, name: str) -> Elsewhere:
    """Have a container created by another runtime.

    Raises:
        OrlopError: what the runtime says.
        Unsupported: an ordinary user asks for one.
    """
    location = target.location
    if location.rootless:
        raise Unsupported(f"--runtime {name}: an ordinary user's containers are run by orlop's own runtime only")
    config = container.read(f"{target.directory}/config.json")
    if config is None:
        raise NotFound(f"no such container: {target.id[:12]}")
    program = _Program(location, find(name), target.id)
    _note(location, target.id, program.path)
    made, lock = RuntimeContainer.claim(request.root, request.id)
    try:
        if made.is_left_over:
            from orlop.runtime import leftovers

            leftovers.clear_away(made)
        made.save(CONFIG_FILE, config)
        console = program.create(target, request, config)
        try:
            pid = program.pid()
            descriptor = pidfd.open_process(pid)
        except BaseException:
            if console >= 0:
                os.close(console)
            raise
        made.save(CGROUP_FILE, _group(config, target.id))
        made.write_record(_record(target, request, config, pid))
        if request.connect is not None:
            try:
                request.connect(pid)  # it waits for its start
            except BaseException:
                pidfd.send_signal(descriptor, _signal.SIGKILL)
                raise
        return Elsewhere(program, made, descriptor, console)
    finally:
        lock.close()


def release(location: Location, container_id: str) -> None:
    """Have a runtime clear away what it keeps of a container that has ended."""
    path = f"{location.run_root}/extras/{container_id}/{_NOTE}"
    try:
        with open(path, encoding="utf-8") as note:
            program = note.read()
    except FileNotFoundError:
        return
    if program and os.access(program, os.X_OK):
        try:
            _Program(location, program, container_id).run("delete", "--force", container_id)
        except OrlopError:
            pass  # it does not know the container, or is no more what it was
    os.unlink(path)


def _note(location: Location, container_id: str, program: str) -> None:
    directory = f"{location.run_root}/extras/{container_id}"
    os.makedirs(directory, 0o700, exist_ok=True)
    with open(f"{directory}/{_NOTE}", "w", encoding="utf-8") as note:
        note.write(program)


class _Program:
    """One runtime's command line, for one container."""

    __slots__ = ("_directory", "_state", "path")

    def __init__(self, location: Location, path: str, container_id: str) -> None:
        self.path = path
        self._directory = f"{location.run_root}/extras/{container_id}"
        self._state = f"{location.run_root}/runtimes/{os.path.basename(path)}"

    def create(self, target: container.Container, request: Request, config: dict[str, Any]) -> int:
        """``create``; returns the terminal's master, or -1."""
        listener = None
        options = ["--bundle", request.bundle, "--pid-file", self._pid_file]
        if config["process"]["terminal"]:
            listener = _Listener()
            options += ["--console-socket", listener.path]
        root_mounts = [snapshots.Mount.from_json(each) for each in request.root_mounts]
        try:
            child = self._fork(["create", *options, target.id], request.stdio, root_mounts, config["root"]["path"])
            console = listener.receive(child) if listener is not None else -1
            try:
                self._wait(child)
            except BaseException:
                if console >= 0:
                    os.close(console)
                raise
        finally:
            if listener is not None:
                listener.close()
        return console

    def pid(self) -> int:
        """The init's, as ``create`` wrote it down."""
        with open(self._pid_file, encoding="ascii") as file:
            return int(file.read())

    def run(self, *words: str) -> None:
        """One of its commands, to its end."""
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        try:
            self._wait(self._fork(list(words), (null, null, null), (), ""))
        finally:
            os.close(null)

    @property
    def _pid_file(self) -> str:
        return f"{self._directory}/pid"

    @property
    def _log(self) -> str:
        return f"{self._directory}/log.json"

    def _fork(self, words: list[str], stdio: tuple[int, int, int], root_mounts: Sequence[Mount], root: str) -> int:
        """Start the program; with mounts, where they are to be seen at ``root`` and nobody else sees them."""
        os.makedirs(self._state, 0o700, exist_ok=True)
        os.makedirs(self._directory, 0o700, exist_ok=True)
        command = [self.path, "--root", self._state, "--log", self._log, "--log-format", "json", *words]
        child = os.fork()
        if child:
            return child
        try:
            if root_mounts:
                namespace.unshare(namespace.CLONE_NEWNS)
                host = os.open("/", os.O_PATH | os.O_CLOEXEC)
                mount.set_attributes(host, propagation=mount.MS_SLAVE, recursive=True)
                _attach(root_mounts, root)
            for number in range(1, _signal.NSIG):
                if number not in (_signal.SIGKILL, _signal.SIGSTOP) and _signal.getsignal(number) is not None:
                    _signal.signal(number, _signal.SIG_DFL)
            _put_streams(stdio)
            os.execve(self.path, command, {"PATH": _PATH})
        except BaseException as error:  # noqa: BLE001 - this process ends here, and its parent must know why
            with open(self._log, "w", encoding="utf-8") as log:
                log.write(json_text.dumps({"level": "error", "msg": str(error)}) + "\n")
        finally:
            os._exit(125)

    def _wait(self, child: int) -> None:
        """Wait for a command's end.

        Raises:
            OrlopError: it failed.
        """
        descriptor = pidfd.open_process(child)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(_PATIENCE * 1000):
            pidfd.send_signal(descriptor, _signal.SIGKILL)
        os.close(descriptor)
        _, status = os.waitpid(child, 0)
        text = self._said()
        if os.path.exists(self._log):
            os.unlink(self._log)
        if status:
            raise _error(os.path.basename(self.path), text or f"it ended with {os.waitstatus_to_exitcode(status)}")

    def _said(self) -> str:
        """The last error in its log."""
        try:
            with open(self._log, encoding="utf-8", errors="replace") as log:
                lines = log.read().splitlines()
        except FileNotFoundError:
            return ""
        for line in reversed(lines):
            try:
                told = json_text.loads(line)
            except ValueError:
                continue
            if told.get("level") in ("error", "fatal", None) and told.get("msg"):
                return str(told["msg"])
        return ""


def _error(name: str, text: str) -> OrlopError:
    message = f"{name}: {text}"
    if "executable file not found" in text or ("no such file or directory" in text.lower() and "exec" in text):
        return CommandNotFound(message)
    if "permission denied" in text.lower() and "exec" in text:
        return CommandNotExecutable(message)
    return StepFailed("create the container", "", message)


def _attach(root_mounts: Sequence[Mount], root: str) -> None:
    tree = snapshots.attach(root_mounts)
    target = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mount.attach(tree, target)


def _put_streams(stdio: tuple[int, int, int]) -> None:
    """Make three descriptors standard input, output and error, whatever numbers they have."""
    above = [os.dup(descriptor) for descriptor in stdio]
    while min(above) < len(above):
        above = [os.dup(descriptor) for descriptor in above]
    for number, descriptor in enumerate(above):
        os.dup2(descriptor, number)


class _Listener:
    """The socket on which a runtime hands a terminal over (``--console-socket``)."""

    __slots__ = ("_directory", "_socket", "path")

    def __init__(self) -> None:
        import tempfile

        self._directory = tempfile.mkdtemp(prefix="orlop-")  # short: a socket's path may have 107 bytes
        self.path = f"{self._directory}/console"
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._socket.bind(self.path)
        self._socket.listen(1)

    def receive(self, child: int) -> int:
        """Wait for the terminal; -1 if the runtime ends without giving one."""
        ended = pidfd.open_process(child)
        try:
            poll = select.poll()
            poll.register(self._socket.fileno(), select.POLLIN)
            poll.register(ended, select.POLLIN)
            happened = dict(poll.poll(_PATIENCE * 1000))
            if self._socket.fileno() not in happened:
                return -1
            descriptor, _ = self._socket._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - `socket` is dear
            connection = _socket.socket(fileno=descriptor)
            _, ancillary, _, _ = connection.recvmsg(4096, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
            connection.close()
            return int.from_bytes(ancillary[0][2][:4], "little") if ancillary else -1
        finally:
            os.close(ended)

    def close(self) -> None:
        self._socket.close()
        os.unlink(self.path)
        os.rmdir(self._directory)


def _group(config: dict[str, Any], container_id: str) -> dict[str, Any]:
    """The control groups that the runtime has made, which need not be all that ours makes."""
    layout = cgroup.detect()
    path = layout.path(config["linux"].get("cgroupsPath"), container_id)
    layout.v1 = [each for each in layout.v1 if os.path.isdir(each.directory(path))]
    if layout.unified is not None and not os.path.isdir(layout.unified.directory(path)):
        layout.unified = None
    return layout.group(path).record()


def _record(target: container.Container, request: Request, config: dict[str, Any], pid: int) -> dict[str, Any]:
    status = procfs.stat(pid)
    if status is None:
        raise StepFailed("create the container", "", "its init ended at once")
    return {
        "ociVersion": config["ociVersion"],
        "id": target.id,
        "pid": pid,
        "start_time": status.start_time,
        "bundle": request.bundle,
        "rootfs": config["root"]["path"],
        "created": clock.text(time.time_ns()),
        "cgroup": _group(config, target.id),
        "keyring": f"_ses.{target.id}.{os.urandom(16).hex()}",
        "rootless": False,
    }
