"""From a fork of the caller to a program in a running container, in the order in which it happens.

This is hostile ground: neither the joiner nor its child can be traced or dumped by who lacks CAP_SYS_PTRACE in the
host's user namespace, and nothing is read from the container but its passwd file. A container that was given that
capability can trace the child from its birth on (CVE-2016-9962). So the joiner, which the container cannot
name, does all that needs rights or sees the host, and its child is born with the program's own user and capabilities
and with no descriptor of the host.

What remains: such a container can read the child's memory, a copy of the caller's; and where the child must do
something after its birth that takes a right (a seccomp filter without noNewPrivileges, limits, scheduling, a
label), it holds that right until then.
"""

from __future__ import annotations

import gc
import os

from orlop.errors import CommandNotFound
from orlop.linux import capability, clone, keyring, namespace, prctl
from orlop.runtime import channel as channels
from orlop.runtime import console, executable, labels, namespaces, process, syscall_filter
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from orlop.linux.seccomp import Program
    from orlop.runtime.channel import Channel
    from orlop.runtime.exec import ExecRequest

_KILL = 9
#: What of ``process`` only the process itself can be given, after it was cloned, and what that may take: clone(2) counts
#: RLIMIT_NPROC, and refuses some scheduling policies; a label is written through a procfs of its own.
_GIVEN_LATE = (
    (("rlimits", "scheduler", "ioPriority"), 1 << capability.SYS_RESOURCE | 1 << capability.SYS_NICE),
    (("apparmorProfile", "selinuxLabel"), 1 << capability.SYS_ADMIN),
)


class Setup:
    """Everything that the joiner needs, prepared by the caller.

    Attributes:
        request: what to run where.
        channel: the joiner's end.
        callers_own: descriptors that the caller alone may hold, so that their end is its end.
        init: the pidfd of the container's init.
        kinds: CLONE_NEW* of its namespaces that are not the caller's.
        first_ids: the first user and group of its user namespace, if that is not the caller's.
        root: its root directory; -1 if that is the root of the mount namespace that is joined.
        group_files: to join its cgroups with.
        seccomp, program, notify: ``linux.seccomp``, the filter, and the connected socket of its ``listenerPath``.
        sealed: whether the interpreter's file is out of reach, so that no trampoline is needed.
    """

    __slots__ = (
        "callers_own",
        "channel",
        "first_ids",
        "group_files",
        "init",
        "kinds",
        "notify",
        "program",
        "request",
        "root",
        "sealed",
        "seccomp",
    )

    request: ExecRequest
    channel: Channel
    callers_own: tuple[int, ...]
    init: int
    kinds: int
    first_ids: tuple[int, int]
    root: int
    group_files: list[int]
    seccomp: dict[str, Any]
    program: Program | None
    notify: _socket.socket | None
    sealed: bool


def main(setup: Setup) -> None:
    """Be the joiner; never returns."""
    channel = setup.channel
    try:
        gc.disable()
        prctl.set_parent_death_signal(_KILL)
        prctl.set_dumpable(False)
        for descriptor in setup.callers_own:
            os.close(descriptor)
        _enter(setup)
        slave, identity = _assume_identity(setup)
        if identity.warnings:
            channel.send("warnings", warnings=identity.warnings)
        keep = [channel.descriptor, setup.root, slave]
        if setup.notify is not None:
            keep.append(setup.notify.fileno())
        process.close_others(3 + setup.request.preserve_fds, tuple(keep))
        pid, _ = clone.clone(clone.CLONE_PARENT)
        if pid == 0:
            _become(setup, slave, identity)
        channel.send("born", pid=pid)
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - it ends this process, and is raised again in the caller
        channel.send("error", **channels.describe(error))
    finally:
        os._exit(255)


def _enter(setup: Setup) -> None:
    settings = setup.request.process
    container = setup.request.container.id
    affinity = settings.get("execCPUAffinity") or {}
    if affinity.get("initial"):
        _set_affinity(affinity["initial"])
    process.set_oom_score(settings)
    for file in setup.group_files:
        with step("join cgroup", container):
            os.write(file, b"0")
    if affinity.get("final"):
        _set_affinity(affinity["final"])
    process.forbid_imports()
    if setup.kinds:
        with step("join namespaces of", container):
            namespace.join(setup.init, setup.kinds)
    if setup.kinds & namespace.CLONE_NEWUSER:
        namespaces.become_root(setup.first_ids)
        prctl.set_dumpable(False)
    with step("enter root of", container):
        if setup.root < 0:
            # Joining the mount namespace led to its root; init may have changed its own with chroot(2).
            setup.root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        else:
            os.fchdir(setup.root)
            os.chroot(".")


def _set_affinity(cpus: str) -> None:
    from orlop.linux import scheduling

    with step("set CPU affinity", cpus):
        scheduling.set_affinity(cpus)


def _assume_identity(setup: Setup) -> tuple[int, process.Identity]:
    """Do all that needs rights and can be inherited; returns the terminal (or -1), and who we are now."""
    request = setup.request
    settings = request.process
    slave = -1
    if settings.get("terminal"):
        size = settings.get("consoleSize") or console.size_like(request.stdio)
        master, slave = console.allocate(setup.root, size)
        setup.channel.send("console", descriptors=(master,))
        os.close(master)
        process.redirect((slave, slave, slave))
    else:
        process.redirect(request.stdio)
    keyring.join_new_session(request.container.keyring)
    user = settings.get("user") or {}
    process.give_streams(user.get("uid") or 0, user.get("gid") or 0)
    identity = process.Identity(settings)
    needed = process.needed_for_filter(settings, setup.program)
    for names, rights in _GIVEN_LATE:
        if any(settings.get(name) for name in names):
            needed |= rights
    identity.assume(keep=needed)
    return slave, identity


def _become(setup: Setup, slave: int, identity: process.Identity) -> None:
    """Be the joiner's child, and turn into the program once the caller knows of it; never returns."""
    settings = setup.request.process
    try:
        prctl.set_parent_death_signal(_KILL)
        answer = setup.channel.receive()
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
        _turn_into_program(setup, identity, answer[0]["state"], confinements)
    except BaseException as error:  # noqa: BLE001 - it ends this process, and is raised again in the caller
        setup.channel.send("error", **channels.describe(error))
        os._exit(process.status_of(error))


def _turn_into_program(
    setup: Setup, identity: process.Identity, state: dict[str, Any], confinements: list[labels.Label]
) -> None:
    settings = setup.request.process
    channel = setup.channel
    entries = process.environment(settings, setup.root)
    process.enter_directory(setup.root, settings.get("cwd") or "/")
    arguments = settings.get("args") or []
    if not arguments:
        raise CommandNotFound("process.args is not set: there is no program to run")
    file = executable.find(arguments[0], entries)
    process.reset_signals()
    first_closed = 3 + setup.request.preserve_fds
    jump = process.prepare_jump(channel, sealed=setup.sealed)
    keep = [channel.descriptor, jump, *(label.descriptor for label in confinements)]
    if setup.notify is not None:
        keep.append(setup.notify.fileno())
    process.close_others(first_closed, tuple(keep))
    for label in confinements:
        label.apply()
    prctl.set_parent_death_signal(0)
    listener = identity.shed(setup.program)
    syscall_filter.hand_over(listener, setup.notify, state, setup.seccomp)
    for descriptor in range(3, first_closed):
        os.set_inheritable(descriptor, True)
    process.execute(file, arguments, entries, channel, first_closed=first_closed, jump=jump)
