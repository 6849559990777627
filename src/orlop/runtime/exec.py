"""Another process in a running container.

Two processes again: the joiner enters the container's namespaces all at once through its init's pidfd, and its child,
born in the pid namespace, becomes the program. That is hostile ground: neither can be traced or dumped by who lacks
CAP_SYS_PTRACE in the host's user namespace, and nothing is read from the container but its passwd file. A container
that was given that capability can trace the child from its birth on (CVE-2016-9962). So the joiner, which the
container cannot name, does all that needs rights or sees the host, and its child is born with the
program's own user and capabilities and with no descriptor of the host. Callers from a command line seal their interpreter
first (`orlop.linux.sealed`).

What remains: such a container can read the child's memory, a copy of the caller's; and where the child must do
something after its birth that takes a right (a seccomp filter without noNewPrivileges, limits, scheduling, a
label), it holds that right until then. Its messages are not trusted for more than its own fate.
"""

from __future__ import annotations

import gc
import os

from orlop.errors import CommandNotExecutable, CommandNotFound, Conflict, InvalidArgument, OrlopError, StepFailed
from orlop.linux import capability, clone, keyring, namespace, pidfd, prctl, sealed
from orlop.runtime import channel as channels
from orlop.runtime import console, executable, labels, namespaces, process
from orlop.runtime.create import write_pid_file
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any

    from orlop.linux.seccomp import Program
    from orlop.linux.seccomp.cache import Cache
    from orlop.runtime.container import Container

_KILL = 9
#: What of ``process`` only the process itself can be given, after it was cloned, and what that may take: clone(2) counts
#: RLIMIT_NPROC, and refuses some scheduling policies; a label is written through a procfs of its own.
_GIVEN_LATE = (
    (("rlimits", "scheduler", "ioPriority"), 1 << capability.SYS_RESOURCE | 1 << capability.SYS_NICE),
    (("apparmorProfile", "selinuxLabel"), 1 << capability.SYS_ADMIN),
)


class ExecRequest:
    """What to run where.

    Attributes:
        container: a created or running container.
        process: an OCI ``process`` object.
        pid_file, console_socket: paths, or empty.
        preserve_fds: how many descriptors from 3 up the program gets.
        ignore_paused: start it in a paused container too, where it waits.
        cgroup: sub-cgroup by controller; the key "" stands for all.
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
    """One exec's resources."""

    __slots__ = (
        "_born",
        "_descriptors",
        "_first_ids",
        "_init",
        "_inner",
        "_kinds",
        "_notify",
        "_outer",
        "_program",
        "_request",
        "_root",
        "_sealed",
    )

    def __init__(self, request: ExecRequest, born: Callable[[], None] | None) -> None:
        self._request = request
        self._born = born
        self._descriptors: list[int] = []
        self._init = -1
        self._root = -1
        self._first_ids = (0, 0)
        self._kinds = 0
        self._sealed = sealed.is_sealed()
        self._notify: _socket.socket | None = None
        self._program: Program | None = None
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
        self._look_at_container()
        self._compile_seccomp()
        process.import_ahead(self._request.process, {})
        with_unified, files = self._open_cgroup()
        pid, descriptor = clone.clone(0, cgroup=with_unified)
        if pid == 0:
            self._join(files)
        self._inner.close()
        try:
            return self._accompany()
        finally:
            os.waitpid(pid, 0)
            os.close(descriptor)

    def _look_at_container(self) -> None:
        container = self._request.container
        status = container.status()
        if status in ("stopped", "creating"):
            raise Conflict(f"cannot exec in a {status} container")
        if status == "paused" and not self._request.ignore_paused:
            raise Conflict("cannot exec in a paused container (use --ignore-paused to override)")
        self._init = self._own(pidfd.open_process(container.pid))
        if not container.alive():
            raise Conflict("cannot exec in a stopped container")
        for kind, file in namespace.FILES.items():
            theirs = namespace.identity(f"/proc/{container.pid}/ns/{file}")
            if theirs is not None and theirs != namespace.identity(f"/proc/self/ns/{file}"):
                self._kinds |= namespace.FLAGS[kind]
        if self._kinds & namespace.CLONE_NEWUSER:
            self._first_ids = namespaces.first_mapped(container.pid)
        if not (self._kinds & namespace.CLONE_NEWNS and _has_own_mounts(container)):
            with step("open root of", container.id):
                where = f"/proc/{container.pid}/root"
                self._root = self._own(os.open(where, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        if not container.alive():
            # Then what was just looked at may have been another process's, which got the number.
            raise Conflict("cannot exec in a stopped container")

    def _own(self, descriptor: int) -> int:
        self._descriptors.append(descriptor)
        return descriptor

    def _compile_seccomp(self) -> None:
        config = (self._request.container.config().get("linux") or {}).get("seccomp")
        if not config:
            return
        from orlop.linux import seccomp

        kept = self._request.filters
        self._program = kept.compile(config) if kept is not None else seccomp.compile(config)
        if self._program.notify:
            from orlop.linux.seccomp.listener import connect

            with step("connect to seccomp agent", config.get("listenerPath") or ""):
                self._notify = connect(config.get("listenerPath") or "")

    def _open_cgroup(self) -> tuple[int, list[int]]:
        """The unified cgroup to be born in (or -1), and the files to join the others with."""
        group = self._request.container.cgroup()
        wanted = self._request.cgroup
        if "" in wanted:
            group = group.child(wanted[""])
        with step("join cgroup", group.path):
            unified = group.clone_fd()
            files = group.join_files(unified=unified is None)
            self._descriptors += files
            if unified is not None:
                self._own(unified)
            for controller, below in wanted.items():
                if controller:
                    directory = group.child(below).directory(controller)
                    if directory is None:
                        raise StepFailed("join cgroup", controller, "this machine has no such version 1 controller")
                    files.append(self._own(os.open(f"{directory}/tasks", os.O_WRONLY | os.O_CLOEXEC)))
        return -1 if unified is None else unified, files

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
            if self._born is not None:
                self._born()
            if self._request.pid_file:
                write_pid_file(self._request.pid_file, started.pid)
            state = {**self._request.container.state("running"), "pid": started.pid}
            self._outer.send("continue", state=state)
        elif is_console and self._request.process.get("terminal"):
            started.console = descriptors[0]
            if self._request.console_socket:
                console.hand_over(self._request.console_socket, started.console)
                os.close(started.console)
                started.console = -1
        elif kind == "warnings" and not started.pid:
            started.warnings = message["warnings"]
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

    # From here on in the joiner.

    def _join(self, files: list[int]) -> None:
        try:
            gc.disable()
            prctl.set_parent_death_signal(_KILL)
            prctl.set_dumpable(False)
            self._outer.close()
            self._enter(files)
            slave, identity = self._assume_identity()
            if identity.warnings:
                self._inner.send("warnings", warnings=identity.warnings)
            keep = [self._inner.descriptor, self._root, slave]
            if self._notify is not None:
                keep.append(self._notify.fileno())
            process.close_others(3 + self._request.preserve_fds, tuple(keep))
            pid, _ = clone.clone(clone.CLONE_PARENT)
            if pid == 0:
                self._become(slave, identity)
            self._inner.send("born", pid=pid)
            os._exit(0)
        except BaseException as error:
            self._inner.send("error", **channels.describe(error))
        finally:
            os._exit(255)

    def _enter(self, files: list[int]) -> None:
        settings = self._request.process
        affinity = settings.get("execCPUAffinity") or {}
        if affinity.get("initial"):
            _set_affinity(affinity["initial"])
        process.set_oom_score(settings)
        for file in files:
            with step("join cgroup", self._request.container.id):
                os.write(file, b"0")
        if affinity.get("final"):
            _set_affinity(affinity["final"])
        process.forbid_imports()
        if self._kinds:
            with step("join namespaces of", self._request.container.id):
                namespace.join(self._init, self._kinds)
        if self._kinds & namespace.CLONE_NEWUSER:
            namespaces.become_root(self._first_ids)
            prctl.set_dumpable(False)
        with step("enter root of", self._request.container.id):
            if self._root < 0:
                # Joining the mount namespace led to its root; init may have changed its own with chroot(2).
                self._root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            else:
                os.fchdir(self._root)
                os.chroot(".")

    def _assume_identity(self) -> tuple[int, process.Identity]:
        """Do all that needs rights and can be inherited; returns the terminal (or -1), and who we are now."""
        settings = self._request.process
        slave = -1
        if settings.get("terminal"):
            size = settings.get("consoleSize") or console.size_like(self._request.stdio)
            master, slave = console.allocate(self._root, size)
            self._inner.send("console", descriptors=(master,))
            os.close(master)
            process.redirect((slave, slave, slave))
        else:
            process.redirect(self._request.stdio)
        keyring.join_new_session(self._request.container.keyring)
        user = settings.get("user") or {}
        process.give_streams(user.get("uid") or 0, user.get("gid") or 0)
        identity = process.Identity(settings)
        needed = process.needed_for_filter(settings, self._program)
        for names, rights in _GIVEN_LATE:
            if any(settings.get(name) for name in names):
                needed |= rights
        identity.assume(keep=needed)
        return slave, identity

    # From here on in its child.

    def _become(self, slave: int, identity: process.Identity) -> None:
        settings = self._request.process
        try:
            prctl.set_parent_death_signal(_KILL)
            answer = self._inner.receive()
            if answer is None:
                os._exit(255)
            identity.raise_kept()
            confinements = labels.prepare(settings)
            process.limit(settings)
            identity.hold_back()
            os.setsid()
            if slave >= 0:
                with step("use terminal"):
                    console.use(slave)
            self._turn_into_program(settings, identity, answer[0]["state"], confinements)
        except BaseException as error:
            self._inner.send("error", **channels.describe(error))
            os._exit(
                127 if isinstance(error, CommandNotFound) else 126 if isinstance(error, CommandNotExecutable) else 255
            )

    def _turn_into_program(
        self,
        settings: dict[str, Any],
        identity: process.Identity,
        state: dict[str, Any],
        confinements: list[labels.Label],
    ) -> None:
        entries = process.environment(settings, self._root)
        process.enter_directory(self._root, settings.get("cwd") or "/")
        arguments = settings.get("args") or []
        if not arguments:
            raise CommandNotFound("process.args is not set: there is no program to run")
        file = executable.find(arguments[0], entries)
        process.reset_signals()
        first_closed = 3 + self._request.preserve_fds
        jump = process.prepare_jump(self._inner, sealed=self._sealed)
        keep = [self._inner.descriptor, jump, *(label.descriptor for label in confinements)]
        if self._notify is not None:
            keep.append(self._notify.fileno())
        process.close_others(first_closed, tuple(keep))
        for label in confinements:
            label.apply()
        prctl.set_parent_death_signal(0)
        listener = identity.shed(self._program)
        if listener >= 0 and self._notify is not None:
            from orlop.linux.seccomp.listener import send

            metadata = self._request.container.config()["linux"]["seccomp"].get("listenerMetadata") or ""
            send(self._notify, listener, state, metadata)
        for descriptor in range(3, first_closed):
            os.set_inheritable(descriptor, True)
        process.execute(file, arguments, entries, self._inner, first_closed=first_closed, jump=jump)


def _has_own_mounts(container: Container) -> bool:
    """Whether the root of the container's mount namespace is its own root; in one that it joined, it only has a chroot."""
    listed = (container.config().get("linux") or {}).get("namespaces") or ()
    return any(each["type"] == "mount" and not each.get("path") for each in listed)


def _set_affinity(cpus: str) -> None:
    from orlop.linux import scheduling

    with step("set CPU affinity", cpus):
        scheduling.set_affinity(cpus)
