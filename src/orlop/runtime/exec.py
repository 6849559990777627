"""Another process in a running container.

Two processes again: the `joiner` enters the container's namespaces all at once through its init's pidfd, and its child,
born in the pid namespace, becomes the program. Callers from a command line seal their interpreter
first (`orlop.linux.sealed`). What the two say is not trusted for more than their own fate: the container may have
got hold of their end of the channel.
"""

from __future__ import annotations

import errno
import os

from orlop.errors import Conflict, InvalidArgument, OrlopError, StepFailed
from orlop.linux import clone, namespace, pidfd, sealed
from orlop.runtime import channel as channels
from orlop.runtime import console, delivery, executable, joiner, namespaces, pid_file, process, syscall_filter
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any

    from orlop.linux.seccomp.cache import Cache
    from orlop.runtime.container import Container

_KILL = 9


class ExecRequest:
    """What to run where.

    Attributes:
        container: a created or running container.
        process: an OCI ``process`` object.
        pid_file, console_socket: paths, or empty.
        pidfd_socket: a socket that is sent the process's pidfd, or empty.
        preserve_fds: how many descriptors from 3 up the program gets.
        ignore_paused: start it in a paused container too, where it waits.
        cgroup: sub-cgroup by controller; the key "" stands for all, the path "/" for the container's own.
        stdio: its standard streams, unless it has a terminal.
        filters: seccomp filters that the caller keeps compiled, or None to compile anew.
    """

    __slots__ = (
        "cgroup",
        "console_socket",
        "container",
        "filters",
        "ignore_paused",
        "pid_file",
        "pidfd_socket",
        "preserve_fds",
        "process",
        "stdio",
    )

    def __init__(
        self,
        container: Container,
        process: dict[str, Any],
        *,
        pid_file: str = "",
        console_socket: str = "",
        pidfd_socket: str = "",
        preserve_fds: int = 0,
        ignore_paused: bool = False,
        cgroup: dict[str, str] | None = None,
        stdio: tuple[int, int, int] = (0, 1, 2),
        filters: Cache | None = None,
    ) -> None:
        self.container = container
        self.process = process
        self.pid_file = pid_file
        self.console_socket = console_socket
        self.pidfd_socket = pidfd_socket
        self.preserve_fds = preserve_fds
        self.ignore_paused = ignore_paused
        self.cgroup = cgroup or {}
        self.stdio = stdio
        self.filters = filters


class Executed:
    """A process that was started in a container, a child of the caller.

    Attributes:
        pid, pidfd: the process; the descriptor is the caller's to close.
        console: the master of its terminal if it has one that no console socket took, else -1.
        warnings: what was asked for and could not be had.
    """

    __slots__ = ("console", "pid", "pidfd", "warnings")

    def __init__(self, pid: int, descriptor: int, master: int, warnings: list[str]) -> None:
        self.pid = pid
        self.pidfd = descriptor
        self.console = master
        self.warnings = warnings


def execute(request: ExecRequest, *, detach: bool = False, warn: Callable[[str], None] | None = None) -> int:
    """Run a process in a container; returns its exit status, or 0 at once with ``detach``.

    ``warn`` is told what was asked for and could not be had.

    Raises:
        OrlopError: as `start`.
    """
    if detach and request.process.get("terminal") and not request.console_socket:
        raise InvalidArgument("cannot allocate a terminal without --console-socket when the runtime does not stay")
    from orlop.runtime.foreground import Foreground, hold_signals

    started = start(request, None if detach else hold_signals)
    if warn is not None:
        for warning in started.warnings:
            warn(warning)
    if detach:
        return 0
    return Foreground(started.pid, started.pidfd, started.console).wait()


def start(request: ExecRequest, born: Callable[[], None] | None = None) -> Executed:
    """Start a process in a container; returns once it runs. ``born`` is called when the process is there.

    Raises:
        Conflict: the container is stopped, or paused.
        CommandNotFound, CommandNotExecutable: the program is not there or cannot be run.
        StepFailed: a step of joining failed; says which.
    """
    if request.console_socket and not request.process.get("terminal"):
        raise InvalidArgument("--console-socket is for a process with a terminal, which this one has not")
    joining = _Joining(request, born)
    try:
        return joining.run()
    finally:
        joining.close()


class _Joining:
    """One exec as its caller sees it, who lives with the host: what it opens and how it is let go of."""

    __slots__ = ("_born", "_descriptors", "_inner", "_notify", "_outer", "_request")

    def __init__(self, request: ExecRequest, born: Callable[[], None] | None) -> None:
        self._request = request
        self._born = born
        self._descriptors: list[int] = []
        self._notify: _socket.socket | None = None
        self._outer, self._inner = channels.pair()

    def close(self) -> None:
        """Let go of everything."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []
        self._outer.close()
        self._inner.close()
        if self._notify is not None:
            self._notify.close()

    def run(self) -> Executed:
        """Check, join, and wait for the exec."""
        setup = self._prepare()
        unified = self._open_cgroup(setup)
        pid, descriptor = self._clone(unified)
        if pid == 0:
            joiner.main(setup)
        self._inner.close()
        try:
            return self._accompany()
        finally:
            os.waitpid(pid, 0)
            os.close(descriptor)

    def _clone(self, unified: int) -> tuple[int, int]:
        group = self._request.container.cgroup()
        with step("join cgroup", group.path):
            try:
                return clone.clone(0, cgroup=unified)
            except OSError as error:
                if error.errno != errno.EBUSY or "" in self._request.cgroup:
                    raise
            return clone.clone(0, cgroup=self._own(group.clone_fd_of(self._request.container.pid)))

    def _prepare(self) -> joiner.Setup:
        """Open everything that the joiner needs from outside."""
        request = self._request
        container = request.container
        setup = joiner.Setup()
        setup.request = request
        setup.channel = self._inner
        setup.callers_own = (self._outer.descriptor,)
        setup.sealed = sealed.is_sealed()
        self._look_at_container(setup)
        seccomp = (container.config().get("linux") or {}).get("seccomp") or {}
        setup.program, setup.notify = syscall_filter.prepare(seccomp, request.filters)
        self._notify = setup.notify
        setup.seccomp = seccomp
        process.import_ahead(request.process, {})
        return setup

    def _look_at_container(self, setup: joiner.Setup) -> None:
        container = self._request.container
        status = container.status()
        if status in ("stopped", "creating"):
            raise Conflict(f"cannot exec in a {status} container")
        if status == "paused" and not self._request.ignore_paused:
            raise Conflict("cannot exec in a paused container (use --ignore-paused to override)")
        setup.init = self._own(pidfd.open_process(container.pid))
        if not container.alive():
            raise Conflict("cannot exec in a stopped container")
        setup.kinds = 0
        for kind, file in namespace.FILES.items():
            theirs = namespace.identity(f"/proc/{container.pid}/ns/{file}")
            if theirs is not None and theirs != namespace.identity(f"/proc/self/ns/{file}"):
                setup.kinds |= namespace.FLAGS[kind]
        setup.first_ids = (0, 0)
        if setup.kinds & namespace.CLONE_NEWUSER:
            setup.first_ids = namespaces.first_mapped(container.pid)
        setup.root = -1
        if not (setup.kinds & namespace.CLONE_NEWNS and _has_own_mounts(container)):
            with step("open root of", container.id):
                where = f"/proc/{container.pid}/root"
                setup.root = self._own(os.open(where, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        if not container.alive():
            # Then what was just looked at may have been another process's, which got the number.
            raise Conflict("cannot exec in a stopped container")

    def _own(self, descriptor: int) -> int:
        self._descriptors.append(descriptor)
        return descriptor

    def _open_cgroup(self, setup: joiner.Setup) -> int:
        """Open the files to join version 1 cgroups with; returns the unified one to be born in, or -1."""
        group = self._request.container.cgroup()
        wanted = self._request.cgroup
        if wanted.get("", "").strip("/"):
            group = group.child(wanted[""])
        with step("join cgroup", group.path):
            unified = group.clone_fd()
            setup.group_files = files = group.join_files(unified=unified is None)
            self._descriptors += files
            if unified is not None:
                self._own(unified)
            for controller, below in wanted.items():
                if controller:
                    inner = group.child(below) if below.strip("/") else group
                    directory = inner.directory(controller)
                    if directory is None:
                        raise StepFailed("join cgroup", controller, "this machine has no such version 1 controller")
                    files.append(self._own(os.open(f"{directory}/tasks", os.O_WRONLY | os.O_CLOEXEC)))
        return -1 if unified is None else unified

    def _accompany(self) -> Executed:
        """Listen to the joiner and its child until the program runs."""
        started = Executed(0, -1, -1, [])
        try:
            while (answer := self._outer.receive()) is not None:
                self._heed(started, *answer)
            if not started.pid:
                raise OrlopError("the process that joins the container ended without a word")
        except BaseException:
            self._give_up(started)
            raise
        return started

    def _heed(self, started: Executed, message: dict[str, Any], descriptors: list[int]) -> None:
        """Do what a message says, if it is its turn: the container may have got hold of the other end."""
        kind = message["kind"]
        is_console = kind == "console" and len(descriptors) == 1 and started.console < 0 and not started.pid
        if not is_console:
            for descriptor in descriptors:
                os.close(descriptor)
        if kind == "born" and not started.pid:
            started.pid, started.pidfd = self._adopt(int(message["pid"]))
            if (allocation := self._request.container.allocation()) is not None:
                allocation.add(started.pid)
            if self._born is not None:
                self._born()
            if self._request.pid_file:
                pid_file.write(self._request.pid_file, started.pid)
            if self._request.pidfd_socket:
                delivery.deliver("pidfd", started.pidfd, self._request.pidfd_socket, "setns")
            state = {**self._request.container.state("running"), "pid": started.pid}
            self._outer.send("continue", state=state)
        elif is_console and self._request.process.get("terminal"):
            started.console = descriptors[0]
            if self._request.console_socket:
                console.hand_over(self._request.console_socket, started.console)
                os.close(started.console)
                started.console = -1
        elif kind == "warnings" and not started.pid:
            started.warnings += message["warnings"]
        else:
            raise self._failure(message)

    @staticmethod
    def _adopt(pid: int) -> tuple[int, int]:
        """The pid and pidfd of a process that says it was born; it must be a child of ours."""
        descriptor = pidfd.open_process(pid)
        try:
            os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            os.close(descriptor)
            raise OrlopError(f"process {pid} was named as the one that joined the container, which it is not") from None
        return pid, descriptor

    def _failure(self, message: dict[str, Any]) -> OrlopError:
        if message["kind"] == "errno":
            return executable.failed((self._request.process.get("args") or [""])[0], message["errno"])
        if message["kind"] != "error":
            return OrlopError(f"the process that joins the container said {message['kind']} out of turn")
        return channels.revive(message)

    @staticmethod
    def _give_up(started: Executed) -> None:
        if started.console >= 0:
            os.close(started.console)
        if started.pid:
            try:
                pidfd.send_signal(started.pidfd, _KILL)
            except ProcessLookupError:
                pass  # it has ended by itself, having said why
            os.close(started.pidfd)
            os.waitpid(started.pid, 0)


def _has_own_mounts(container: Container) -> bool:
    """Whether the root of the container's mount namespace is its own root; in one that it joined, it only has a chroot."""
    listed = (container.config().get("linux") or {}).get("namespaces") or ()
    return any(each["type"] == "mount" and not each.get("path") for each in listed)
