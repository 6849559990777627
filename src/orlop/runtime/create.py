"""Creating a container: from a bundle to a process that waits to become the container's program.

The story has two or three processes. The runtime, here, sees the host: it reads the configuration, opens
everything that lies outside, makes the cgroup, and clones. `init` is what it clones, in the new namespaces. Where a
namespace has to be entered by a parent for it to count for the child, `stage` comes between them.
Whatever fails, nothing is left behind.
"""

from __future__ import annotations

import _socket
import os
import time

from orlop import json_text
from orlop.errors import HookFailed, InvalidArgument, OrlopError, StepFailed
from orlop.linux import cgroup, clone, namespace, pidfd, procfs, sealed
from orlop.runtime import channel as channels
from orlop.runtime import console, hooks, init, mounts, namespaces, process, rootfs, stage
from orlop.runtime.container import CGROUP_FILE, CONFIG_FILE, Container
from orlop.runtime.spec import load, machine, validate
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.linux.seccomp import Program
    from orlop.runtime.channel import Channel
    from orlop.runtime.container import Lock
    from orlop.runtime.request import Request

_KILL = 9
_FIRST_PRESERVED = 3


class Created:
    """A created container, seen by the process that created it and is its init's parent.

    Attributes:
        container: its state.
        pid, pidfd: its init process; the descriptor is the caller's to close.
        console: the terminal's master if it has one and no console socket took it, else -1; the caller's to close.
        warnings: what was asked for and could not be had.
    """

    __slots__ = ("_channel", "console", "container", "pid", "pidfd", "warnings")

    def __init__(
        self, container: Container, pid: int, pidfd_: int, master: int, channel: Channel, warnings: list[str]
    ) -> None:
        self.container = container
        self.pid = pid
        self.pidfd = pidfd_
        self.console = master
        self._channel = channel
        self.warnings = warnings

    def release(self) -> None:
        """Start the program. Returns once it runs.

        Raises:
            CommandNotFound, CommandNotExecutable: it cannot be executed.
            StepFailed, HookFailed: a hook or the seccomp filter failed; the container is stopped.
        """
        try:
            self._channel.send("start", state=self.container.state("created"))
            finish_start(self.container, self._channel)
        finally:
            self._channel.close()


def finish_start(container: Container, channel: Channel) -> None:
    """Wait for init's exec, then run the poststart hooks.

    Raises:
        OrlopError: as `Created.release`.
    """
    answer = channel.receive()
    if answer is not None:
        raise _failure(container, answer[0])
    poststart = (container.config().get("hooks") or {}).get("poststart")
    if poststart:
        try:
            hooks.run(poststart, container.state("running"), "poststart")
        except HookFailed:
            if container.alive():
                container.signal(_KILL)
            raise


def _failure(container: Container, message: dict[str, Any]) -> OrlopError:
    if message["kind"] == "errno":
        from orlop.runtime import executable

        arguments = (container.config().get("process") or {}).get("args") or [""]
        return executable.failed(arguments[0], message["errno"])
    return channels.revive(message)


def create(request: Request, *, separate_start: bool = False) -> Created:
    """Create a container.

    With ``separate_start`` another process starts it later (`start.start`), through a socket in its state
    directory; otherwise only `Created.release` can, and the container does not survive its creator until then.

    Raises:
        InvalidConfig, NotFound: the bundle is wrong.
        Conflict: the id is taken, or the cgroup.
        Unsupported: the machine lacks something that the configuration asks for.
        StepFailed, HookFailed: it did not work; says at which step, on which path, and why.
        CommandNotFound, CommandNotExecutable: the program is not there or cannot be run.
    """
    bundle = os.path.realpath(request.bundle)
    spec = load(bundle)
    # Root of an outer user namespace can do without one more: rootless engines run us there.
    warnings = validate(spec, rootless=os.geteuid() != 0)
    machine.check(spec)
    if request.restartable and _joins_processes(spec):
        sealed.ensure()
    _check_terminal(request, spec, separate_start)
    for descriptor in range(_FIRST_PRESERVED, _FIRST_PRESERVED + request.preserve_fds):
        try:
            os.fstat(descriptor)
        except OSError:
            raise InvalidArgument(f"--preserve-fds: descriptor {descriptor} is not open") from None
    container, lock = Container.claim(request.root, request.id)
    try:
        if container.is_left_over:
            from orlop.runtime import leftovers

            leftovers.clear_away(container)
        creation = _Creation(request, container, spec, bundle, separate_start)
        try:
            created = creation.run(lock)
        except BaseException as error:
            failures = creation.undo()
            if failures:
                raise OrlopError("; ".join((str(error), *failures))) from None
            raise
        finally:
            creation.close()
    finally:
        lock.close()
    created.warnings[:0] = warnings
    return created


def _joins_processes(spec: dict[str, Any]) -> bool:
    """Whether others, who may be hostile, are in the container's pid namespace from the beginning."""
    listed = (spec.get("linux") or {}).get("namespaces") or ()
    return any(each["type"] == "pid" and each.get("path") for each in listed)


def _check_terminal(request: Request, spec: dict[str, Any], separate_start: bool) -> None:
    wants = bool((spec.get("process") or {}).get("terminal"))
    if wants and separate_start and not request.console_socket:
        raise InvalidArgument("cannot allocate a terminal without --console-socket when the runtime does not stay")
    if request.console_socket and not wants:
        raise InvalidArgument("--console-socket is for a process with a terminal, which this one has not")


class _Creation:
    """One creation's resources, so that each is let go of on every way out."""

    __slots__ = (
        "_bundle",
        "_clone_into",
        "_container",
        "_descriptors",
        "_group",
        "_hook_state",
        "_inner",
        "_keyring",
        "_listener",
        "_mounts",
        "_notify",
        "_outer",
        "_pid",
        "_pidfd",
        "_plan",
        "_request",
        "_rootfs",
        "_separate_start",
        "_spec",
    )

    def __init__(
        self, request: Request, container: Container, spec: dict[str, Any], bundle: str, separate_start: bool
    ) -> None:
        self._request = request
        self._container = container
        self._spec = spec
        self._bundle = bundle
        self._separate_start = separate_start
        self._rootfs = os.path.realpath(os.path.join(bundle, (spec.get("root") or {}).get("path") or "rootfs"))
        self._keyring = f"_ses.{container.id}.{os.urandom(16).hex()}"
        self._pid = 0
        self._pidfd = -1
        self._clone_into = -1
        self._descriptors: list[int] = []
        self._mounts: list[mounts.Mount] = []
        self._group: cgroup.Group | None = None
        self._hook_state: dict[str, Any] | None = None
        self._plan: namespaces.NamespacePlan | None = None
        self._listener: _socket.socket | None = None
        self._notify: _socket.socket | None = None
        self._outer: Channel | None = None
        self._inner: Channel | None = None

    def run(self, lock: Lock) -> Created:
        """All of it, while ``lock`` is held."""
        self._save_config()
        setup = self._prepare()
        setup.runtimes_own = (self._talk.descriptor, lock.descriptor)
        self._launch(setup)
        self._move_devices(setup)
        self._let_go_of_inner()
        return self._accompany()

    def close(self) -> None:
        """Close what only init needs, or nobody any more."""
        self._let_go_of_inner()

    def undo(self) -> list[str]:
        """After a failure: no process, no cgroup, no state. Returns what poststop hooks failed with."""
        if self._pid:
            try:
                pidfd.send_signal(self._pidfd, _KILL)
            except ProcessLookupError:
                pass  # it ended by itself, which is why we are here
            os.waitpid(self._pid, 0)
        if self._pidfd >= 0:
            os.close(self._pidfd)
        if self._outer is not None:
            self._outer.close()
        try:
            if self._group is not None:
                if not (self._plan is not None and self._plan.is_new("pid")):
                    self._group.kill(_KILL)  # what hooks left running in it; it was empty when it became ours
                self._group.remove()
        finally:
            self._container.remove()
        if self._hook_state is None:
            return []
        # Once hooks have run, those that undo what they did run too (runtime.md, "Lifecycle", steps 3 to 5, 13).
        poststop = self._spec["hooks"].get("poststop") or []
        return hooks.run_all(poststop, {**self._hook_state, "status": "stopped", "pid": 0}, "poststop")

    def _let_go_of_inner(self) -> None:
        if self._inner is not None:
            self._inner.close()
            self._inner = None
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []
        for each in self._mounts:
            each.close()
        if self._plan is not None:
            self._plan.close()
        for socket in (self._listener, self._notify):
            if socket is not None:
                socket.close()

    def _save_config(self) -> None:
        """Keep the configuration as it is now; later changes of the bundle have no effect (runtime.md, "Create")."""
        self._write(CONFIG_FILE, self._spec)

    def _write(self, name: str, value: object) -> None:
        where = f"{self._container.directory}/{name}"
        with step("write", where):
            descriptor = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, json_text.dumps(value).encode())
            finally:
                os.close(descriptor)

    def _prepare(self) -> init.Setup:
        """Open and make everything that init needs from outside."""
        request, spec = self._request, self._spec
        linux = spec.get("linux") or {}
        setup = init.Setup()
        setup.spec = spec
        setup.keyring = self._keyring
        setup.plan = self._plan = namespaces.plan(linux)
        setup.root_path = self._rootfs
        setup.propagation = rootfs.PROPAGATION.get(linux.get("rootfsPropagation") or "", 0)
        setup.root_tree = -1
        setup.mounts = self._mounts = mounts.read(spec.get("mounts") or [], self._bundle)
        # An ordinary user may copy mounts only in a mount namespace of his own: init does it then.
        setup.clones_inside = os.geteuid() != 0 and setup.plan.is_new("user")
        if "mount" in setup.plan.kinds and not setup.clones_inside:
            setup.root_tree = self._own(rootfs.clone(self._rootfs))
        for each, entry in zip(self._mounts, spec.get("mounts") or [], strict=True):
            if each.options.bind and not setup.clones_inside:
                mounts.clone_source(each)
            mounts.map_ids(each, entry, linux)
        process.import_ahead(spec["process"], linux)
        if any(each.options.tmpcopyup for each in self._mounts):
            from orlop.runtime import copy_up  # noqa: F401 - while it is the host's
        setup.program, setup.notify = self._compile_seccomp(linux.get("seccomp"))
        self._notify = setup.notify
        self._make_group(setup, linux)
        self._outer, self._inner = channels.pair()
        setup.channel = self._inner
        setup.listener = self._listener = self._listen() if self._separate_start else None
        setup.streams = request.stdio
        setup.preserve = request.preserve_fds
        setup.listen = request.listen_fds
        setup.no_pivot = request.no_pivot
        setup.no_new_keyring = request.no_new_keyring
        setup.sealed = sealed.is_sealed()
        all_hooks = spec.get("hooks") or {}
        if all_hooks:
            hooks.import_ahead()
        names = ("prestart", "createRuntime", "createContainer")
        setup.waits_for_hooks = any(all_hooks.get(name) for name in names)
        return setup

    def _own(self, descriptor: int) -> int:
        self._descriptors.append(descriptor)
        return descriptor

    def _compile_seccomp(self, config: dict[str, Any] | None) -> tuple[Program | None, _socket.socket | None]:
        if not config:
            return None, None
        from orlop.linux import seccomp

        kept = self._request.filters
        program = kept.compile(config) if kept is not None else seccomp.compile(config)
        if not program.notify:
            return program, None
        from orlop.linux.seccomp.listener import connect

        where = config.get("listenerPath") or ""
        if not where:
            raise StepFailed("install seccomp filter", "", "SCMP_ACT_NOTIFY needs a listenerPath")
        with step("connect to seccomp agent", where):
            return program, connect(where)

    def _make_group(self, setup: init.Setup, linux: dict[str, Any]) -> None:
        layout = cgroup.detect()
        rootless = self._request.rootless
        group = layout.group(layout.path(linux.get("cgroupsPath"), self._container.id, rootless=rootless))
        with step("make cgroup", group.path):
            group.create(linux.get("resources") or {}, rootless=rootless)
        setup.group = self._group = group
        self._write(CGROUP_FILE, group.record())
        if not group.layout.v1:
            from orlop.runtime import cgroup_owner  # on version 1 nothing is given away

            cgroup_owner.give(group, setup.plan, self._spec)
        unified = group.clone_fd()
        if unified is not None:
            self._clone_into = self._own(unified)
        setup.group_files = group.join_files(unified=unified is None)
        self._descriptors += setup.group_files

    def _listen(self) -> _socket.socket:
        """The socket on which init waits for its start, once everything else is closed."""
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        directory = os.open(self._container.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # By way of the descriptor: a socket's path is limited to 107 bytes.
            os.fchmod(listener.fileno(), 0o600)  # the socket's file gets this mode: only we may say that it starts
            listener.bind(f"/proc/self/fd/{directory}/{os.path.basename(self._container.start_socket)}")
        finally:
            os.close(directory)
        listener.listen(1)
        return listener

    def _launch(self, setup: init.Setup) -> None:
        with step("clone"):
            if setup.plan.staged:
                self._pid, self._pidfd = stage.launch(setup, self._clone_into, self._map_users)
                return
            pid, descriptor = clone.clone(setup.plan.flags, cgroup=self._clone_into)
        if pid == 0:
            init.main(setup)
        self._pid, self._pidfd = pid, descriptor
        if setup.plan.is_new("user"):
            self._map_users(pid)

    def _move_devices(self, setup: init.Setup) -> None:
        """Move the host's network devices in, and tell init, which may have parameters of theirs to set."""
        devices = (self._spec.get("linux") or {}).get("netDevices")
        if not devices:
            return
        from orlop.runtime import net_devices

        joined = [descriptor for kind, descriptor, _ in setup.plan.joins if kind == "network"]
        own = joined[0] if joined else self._own(net_devices.open_namespace(self._pid))
        net_devices.move(devices, own)
        self._talk.send("devices")

    def _map_users(self, pid: int) -> None:
        """Write the id mappings of the user namespace that a process is in, and tell it."""
        linux = self._spec["linux"]
        namespace.map_users(
            pid, linux.get("uidMappings") or [], linux.get("gidMappings") or [], privileged=os.geteuid() == 0
        )
        self._talk.send("mapped")

    @property
    def _talk(self) -> Channel:
        assert self._outer is not None
        return self._outer

    def _accompany(self) -> Created:
        """See init through until it waits for its start, then publish the container."""
        container = self._container
        record = self._record()
        container.record = record
        master = -1
        while True:
            answer = self._talk.receive()
            if answer is None:
                raise self._died()
            message, descriptors = answer
            if message["kind"] == "error":
                raise channels.revive(message)
            if message["kind"] == "hooks":
                self._hook_state = state = container.state("creating")
                all_hooks = self._spec["hooks"]
                hooks.run(all_hooks.get("prestart") or [], state, "prestart")
                hooks.run(all_hooks.get("createRuntime") or [], state, "createRuntime")
                self._talk.send("continue", state=state)
            elif message["kind"] == "console":
                master = self._deliver_console(descriptors[0])
            elif message["kind"] == "ready":
                break
        container.write_record(record)
        if self._request.pid_file:
            write_pid_file(self._request.pid_file, self._pid)
        return Created(container, self._pid, self._pidfd, master, self._talk, message["warnings"])

    def _deliver_console(self, master: int) -> int:
        if not self._request.console_socket:
            return master
        try:
            console.hand_over(self._request.console_socket, master)
        finally:
            os.close(master)
        return -1

    def _record(self) -> dict[str, Any]:
        status = procfs.stat(self._pid)
        if status is None:
            raise self._died()
        assert self._group is not None
        record: dict[str, Any] = {
            "ociVersion": self._spec["ociVersion"],
            "id": self._container.id,
            "pid": self._pid,
            "start_time": status.start_time,
            "bundle": self._bundle,
            "rootfs": self._rootfs,
            "created": timestamp(time.time_ns()),
            "cgroup": self._group.record(),
            "keyring": self._keyring,
            "rootless": self._request.rootless,
        }
        if self._spec.get("annotations"):
            record["annotations"] = self._spec["annotations"]
        return record

    def _died(self) -> StepFailed:
        """Init ended without a word."""
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return StepFailed("set up the container", "", f"init ended with status {code}")
        hint = ""
        if code == -_KILL and ((self._spec.get("linux") or {}).get("resources") or {}).get("memory"):
            hint = "; the memory limit may be too low to start with"
        return StepFailed("set up the container", "", f"init was killed by signal {-code}{hint}")


def write_pid_file(path: str, pid: int) -> None:
    """Write a process id, whole or not at all: engines read the file as soon as it is there.

    Raises:
        StepFailed: it cannot be written.
    """
    directory, _, name = path.rpartition("/")
    aside = f"{directory}/.{name}.{os.urandom(8).hex()}"  # nobody else who can write there has put a link in its place
    with step("write", path):
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, str(pid).encode())
        finally:
            os.close(descriptor)
        os.rename(aside, path)


def timestamp(nanoseconds: int) -> str:
    """A moment since the epoch in RFC 3339, UTC."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:09d}Z"
