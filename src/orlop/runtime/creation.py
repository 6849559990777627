"""What one creation opens and makes, each in its turn, and how all of it is undone.

The runtime's side only, which sees the host: it prepares `Setup`, clones, and accompanies init until that waits for
its start. Everything that it holds is an attribute here, so that every way out can let go of it.
"""

from __future__ import annotations

import _socket
import os
import time

from orlop.errors import InvalidConfig, StepFailed, Unsupported
from orlop.linux import cgroup, clone, namespace, pidfd, procfs, sealed
from orlop.runtime import channel as channels
from orlop.runtime import (
    console,
    hooks,
    listed_init,
    mounts,
    namespaces,
    pid_file,
    process,
    rootfs,
    syscall_filter,
)
from orlop.runtime.container import CGROUP_FILE, CONFIG_FILE, START_SOCKET
from orlop.runtime.setup import Setup
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.runtime.cache_allocation import Allocation
    from orlop.runtime.container import Container, Lock
    from orlop.runtime.request import Request

_KILL = 9


class Creation:
    """One creation. `run` it, `undo` it if that failed, and `close` it in any case.

    Attributes:
        pid, pidfd: the init process, once `run` has returned; the descriptor is the caller's to close then.
        console: the terminal's master if it has one and no console socket took it, else -1; the caller's to close.
        channel: to init, which waits at its other end; the caller's to close.
        warnings: what was asked for and could not be had.
    """

    __slots__ = (
        "_allocation",
        "_bundle",
        "_clone_into",
        "_container",
        "_descriptors",
        "_group",
        "_hook_state",
        "_inner",
        "_keyring",
        "_listener",
        "_may_list",
        "_mounts",
        "_network",
        "_notify",
        "_plan",
        "_request",
        "_rootfs",
        "_separate_start",
        "_spec",
        "channel",
        "console",
        "pid",
        "pidfd",
        "warnings",
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
        self.pid = 0
        self.pidfd = -1
        self.console = -1
        self.warnings: list[str] = []
        # The trees of others can be attached once only, and a list may not get to its end.
        self._may_list = not request.trees
        self._network = -1
        self._clone_into = -1
        self._descriptors: list[int] = []
        self._mounts: list[mounts.Mount] = []
        self._group: cgroup.Group | None = None
        self._allocation: Allocation | None = None
        self._hook_state: dict[str, Any] | None = None
        self._plan: namespaces.NamespacePlan | None = None
        self._listener: _socket.socket | None = None
        self._notify: _socket.socket | None = None
        self.channel, self._inner = channels.pair()

    def run(self, lock: Lock) -> None:
        """All of it, while ``lock`` is held.

        Raises:
            OrlopError: as `create.create`.
        """
        # Later changes of the bundle have no effect (runtime.md, "Create").
        self._container.save(CONFIG_FILE, self._spec)
        if self._request.notify_socket and "process" in self._spec:
            from orlop.runtime import readiness  # few service managers wait for it

            self._spec = readiness.prepare(self._container, self._spec)
        if not self._make(lock):
            self._begin_again()
            self._make(lock)

    def _make(self, lock: Lock) -> bool:
        """Bring the container to where it is ready; False if a list of system calls did not get there."""
        setup = self._prepare()
        setup.runtimes_own = (self.channel.descriptor, lock.descriptor)
        self._allocate_cache()
        self._launch(setup)
        if self._allocation is not None:
            self._allocation.add(self.pid)
        self._move_devices(setup)
        if self._request.connect is not None and self._network < 0:
            self._request.connect(self.pid)
        self.close()
        return self._accompany(setup.group)

    def _begin_again(self) -> None:
        """Let go of the process that a list did not do for, but not of its network namespace if that is connected."""
        if self._request.connect is not None:
            self._network = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        pidfd.send_signal(self.pidfd, _KILL)
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.pid, self.pidfd = 0, -1
        self.channel.close()
        self.channel, self._inner = channels.pair()
        self._may_list = False
        self.warnings = []

    def close(self) -> None:
        """Close what only init needs. Nothing happens the second time."""
        self._inner.close()
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

    def undo(self) -> list[str]:
        """After a failure: no process, no cgroup, no state.

        Returns:
            a sentence for each thing that could not be undone, and for each poststop hook that failed.
        """
        if self.pid:
            try:
                pidfd.send_signal(self.pidfd, _KILL)
            except ProcessLookupError:
                pass  # it ended by itself, which is why we are here
            os.waitpid(self.pid, 0)
        for descriptor in (self.pidfd, self.console):
            if descriptor >= 0:
                os.close(descriptor)
        self.channel.close()
        failures = []
        try:
            self._undo_group()
            self._container.remove()
        except OSError as error:  # what is left of it the next `create` or `delete` clears away
            failures.append(f"cannot remove {error.filename or self._container.directory}: {error.strerror}")
        if self._hook_state is not None:
            # Once hooks have run, those that undo what they did run too (runtime.md, "Lifecycle", steps 3 to 5, 13).
            poststop = self._spec["hooks"].get("poststop") or []
            failures += hooks.run_all(
                poststop, {**self._hook_state, "status": "stopped", "pid": 0}, "poststop", self._bundle
            )
        return failures

    def _undo_group(self) -> None:
        if self._allocation is not None:
            self._allocation.remove()
        if self._group is None:
            return
        if not (self._plan is not None and self._plan.is_new("pid")):
            self._group.kill(_KILL)  # what hooks left running in it; it was empty when it became ours
        self._group.remove()

    def _prepare(self) -> Setup:
        """Open and make everything that init needs from outside."""
        request, spec = self._request, self._spec
        linux = spec.get("linux") or {}
        setup = Setup()
        setup.spec = spec
        setup.keyring = self._keyring
        setup.plan = self._plan = namespaces.plan(linux)
        if self._network >= 0:
            setup.plan.adopt_network(self._network)
        setup.root_path = self._rootfs
        setup.propagation = rootfs.PROPAGATION.get(linux.get("rootfsPropagation") or "", 0)
        setup.root_tree = -1
        setup.mounts = self._mounts = mounts.read(spec.get("mounts") or [], self._bundle, linux.get("mountLabel") or "")
        setup.root_mounts = request.root_mounts
        if setup.root_mounts:
            import orlop.storage.mounts  # noqa: F401 - init may need it

            if "mount" not in setup.plan.kinds:
                raise InvalidConfig("a root file system of mounts needs a mount namespace: add one to linux.namespaces")
        # An ordinary user may make and copy mounts only in a mount namespace of his own: init does it then.
        has_users = setup.plan.is_new("user") or any(kind == "user" for kind, _, _ in setup.plan.joins)
        setup.clones_inside = os.geteuid() != 0 and has_users
        if "mount" in setup.plan.kinds and not setup.clones_inside:
            setup.root_tree = self._own(rootfs.open_tree(self._rootfs, setup.root_mounts))
        for each, entry in zip(self._mounts, spec.get("mounts") or [], strict=True):
            if request.trees and each.destination in request.trees:
                each.tree = os.dup(request.trees[each.destination])
            elif each.options.bind and not setup.clones_inside:
                mounts.clone_source(each)
            mounts.map_ids(each, entry, linux)
        process.import_ahead(spec.get("process") or {}, linux)
        if any(each.options.tmpcopyup for each in self._mounts):
            from orlop.runtime import copy_up  # noqa: F401 - while it is the host's
        setup.program, setup.notify = syscall_filter.prepare(linux.get("seccomp"), request.filters)
        self._notify = setup.notify
        if request.filters is None:
            self.warnings += syscall_filter.warnings(setup.program)
        self._make_group(setup, linux)
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

    def _make_group(self, setup: Setup, linux: dict[str, Any]) -> None:
        layout = cgroup.detect()
        rootless = self._request.rootless
        group = layout.group(layout.path(linux.get("cgroupsPath"), self._container.id, rootless=rootless))
        if self._group is None:
            with step("make cgroup", group.path):
                group.create(linux.get("resources") or {}, rootless=rootless)
        setup.group = self._group = group
        self._container.save(CGROUP_FILE, group.record())
        if not group.layout.v1:
            from orlop.runtime import cgroup_owner  # on version 1 nothing is given away

            cgroup_owner.give(group, setup.plan, self._spec)
        unified = group.clone_fd()
        if unified is not None:
            self._clone_into = self._own(unified)
        setup.group_files = group.join_files(unified=unified is None)
        self._descriptors += setup.group_files

    def _allocate_cache(self) -> None:
        wanted = (self._spec.get("linux") or {}).get("intelRdt")
        if wanted is not None:
            from orlop.runtime import cache_allocation  # few machines can, and fewer containers ask

            self._allocation = cache_allocation.allocate(wanted, self._container.id)

    def _listen(self) -> _socket.socket:
        """The socket on which init waits for its start, once everything else is closed."""
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        directory = os.open(self._container.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # By way of the descriptor: a socket's path is limited to 107 bytes.
            os.fchmod(listener.fileno(), 0o600)  # the socket's file gets this mode: only we may say that it starts
            listener.bind(f"/proc/self/fd/{directory}/{START_SOCKET}")
        finally:
            os.close(directory)
        listener.listen(1)
        return listener

    def _launch(self, setup: Setup) -> None:
        with step("clone"):
            if self._request.parent >= 0 and setup.plan.is_new("user"):
                from orlop.runtime import stage

                setup.plan.staged = True
                self.pid, self.pidfd = stage.launch_below(setup, self._clone_into, self._request.parent)
                self._look()
                self.channel.send("mapped")
                return
            if setup.plan.staged:
                from orlop.runtime import stage

                self.pid, self.pidfd = stage.launch(setup, self._clone_into, self._map_users)
                return
            if not self._launch_list(setup):
                from orlop.runtime import init  # while its files are the host's

                self.pid, self.pidfd = clone.clone(setup.plan.flags, cgroup=self._clone_into)
                if self.pid == 0:
                    init.main(setup)
        self._look()
        if setup.plan.is_new("user"):
            self._map_users(self.pid)

    def _look(self) -> None:
        if self._request.look is not None:
            self._request.look(self.pid)

    def _launch_list(self, setup: Setup) -> bool:
        """Have a process without an interpreter be init, if it can."""
        if not (self._may_list and listed_init.is_ordinary(setup)):
            return False
        try:
            listed = listed_init.Listed(setup, self._clone_into)
        except (OSError, Unsupported):
            return False  # if anything but lists is in the way here, init will say what
        self.pid, self.pidfd = listed.pid, listed.pidfd
        self.channel.failure = listed.failure
        return True

    def _move_devices(self, setup: Setup) -> None:
        """Move the host's network devices in, and tell init, which may have parameters of theirs to set."""
        devices = (self._spec.get("linux") or {}).get("netDevices")
        if not devices:
            return
        from orlop.runtime import net_devices

        joined = [descriptor for kind, descriptor, _ in setup.plan.joins if kind == "network"]
        own = joined[0] if joined else self._own(net_devices.open_namespace(self.pid))
        net_devices.move(devices, own)
        self.channel.send("devices")

    def _map_users(self, pid: int) -> None:
        """Write the id mappings of the user namespace that a process is in, and tell it."""
        linux = self._spec["linux"]
        namespace.map_users(
            pid, linux.get("uidMappings") or [], linux.get("gidMappings") or [], privileged=os.geteuid() == 0
        )
        self.channel.send("mapped")

    def _accompany(self, group: cgroup.Group) -> bool:
        """See init through until it waits for its start, then publish the container; False if a list did not get there."""
        container = self._container
        record = self._record(group)
        container.record = record
        while True:
            answer = self.channel.receive()
            if answer is None:
                raise self._died()
            message, descriptors = answer
            if message["kind"] == "unlisted":
                return False
            if message["kind"] == "error":
                raise channels.revive(message)
            if message["kind"] == "hooks":
                self._hook_state = state = container.state("creating")
                all_hooks = self._spec["hooks"]
                hooks.run(all_hooks.get("prestart") or [], state, "prestart", self._bundle)
                hooks.run(all_hooks.get("createRuntime") or [], state, "createRuntime", self._bundle)
                self.channel.send("continue", state=state)
            elif message["kind"] == "console":
                self._deliver_console(descriptors[0])
            elif message["kind"] == "ready":
                self.warnings += message["warnings"]
                break
        container.write_record(record)
        if self._request.pid_file:
            pid_file.write(self._request.pid_file, self.pid)
        if self._request.pidfd_socket:
            from orlop.runtime import delivery

            delivery.deliver("pidfd", self.pidfd, self._request.pidfd_socket, "standard")
        return True

    def _deliver_console(self, master: int) -> None:
        self.console = master
        if self._request.console_socket:
            console.hand_over(self._request.console_socket, master)
            os.close(master)
            self.console = -1

    def _record(self, group: cgroup.Group) -> dict[str, Any]:
        status = procfs.stat(self.pid)
        if status is None:
            raise self._died()
        record: dict[str, Any] = {
            "ociVersion": self._spec["ociVersion"],
            "id": self._container.id,
            "pid": self.pid,
            "start_time": status.start_time,
            "bundle": self._bundle,
            "rootfs": self._rootfs,
            "created": _timestamp(time.time_ns()),
            "cgroup": group.record(),
            "keyring": self._keyring,
            "rootless": self._request.rootless,
        }
        if self._allocation is not None:
            record["resctrl"] = self._allocation.record()
        if self._spec.get("annotations"):
            record["annotations"] = self._spec["annotations"]
        return record

    def _died(self) -> StepFailed:
        """Init ended without a word."""
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return StepFailed("set up the container", "", f"init ended with status {code}")
        hint = ""
        if code == -_KILL and ((self._spec.get("linux") or {}).get("resources") or {}).get("memory"):
            hint = "; the memory limit may be too low to start with"
        return StepFailed("set up the container", "", f"init was killed by signal {-code}{hint}")


def _timestamp(nanoseconds: int) -> str:
    """A moment since the epoch in RFC 3339, UTC."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:09d}Z"
