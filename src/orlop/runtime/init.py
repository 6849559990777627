"""The container's first process, from clone to exec, in the order in which it happens.

It runs in the new namespaces with the memory of the runtime that cloned it, and must touch little of that: what
it changes is copied, and counts against the container's memory limit. It reports to the runtime through
the `channel`; whatever goes wrong is said there, once, with the step and the path.
"""

from __future__ import annotations

import _socket
import gc
import os

from orlop.errors import CommandNotFound, OrlopError, StepFailed
from orlop.linux import hostname, keyring, link, mount, namespace, path, prctl
from orlop.runtime import channel as channels
from orlop.runtime import (
    console,
    devices,
    executable,
    hooks,
    labels,
    masks,
    mounts,
    namespaces,
    process,
    rootfs,
    syscall_filter,
)
from orlop.runtime.cgroup_mounts import CgroupMounter
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.runtime.channel import Channel
    from orlop.runtime.setup import Setup

_KILL = 9


def main(setup: Setup) -> None:
    """Be the container's init; never returns."""
    try:
        gc.disable()
        prctl.set_parent_death_signal(_KILL)
        if not setup.plan.staged:
            let_go(setup)
        _run(setup)
    except BaseException as error:  # noqa: BLE001 - it ends this process, and is raised again in the runtime
        try:
            setup.channel.send("error", **channels.describe(error))
        except OSError:  # the runtime is gone; the container's own log is what is left
            os.write(2, f"orlop-runtime: {error}\n".encode())
    finally:
        os._exit(255)


def let_go(setup: Setup) -> None:
    """Close our copies of what is the runtime's own; of the stage and init whoever comes first does it."""
    for descriptor in setup.runtimes_own:
        os.close(descriptor)


def _run(setup: Setup) -> None:
    linux = setup.spec.get("linux") or {}
    process_spec = setup.spec.get("process") or {}
    if not setup.plan.staged:
        process.set_oom_score(process_spec)
    _join(setup)
    prctl.set_dumpable(False)
    confinements = labels.prepare(process_spec)
    os.setsid()
    _set_names(setup)
    os.umask(0o022)  # whatever the caller's is, what is made in the root is there for every user
    root, procfs = _build_root(setup, linux, process_spec)
    master = slave = -1
    if process_spec.get("terminal"):
        size = process_spec.get("consoleSize") or console.size_like(setup.streams)
        master, slave = console.allocate(root, size)
        console.bind_console(root, slave)
    if setup.waits_for_hooks:
        setup.channel.send("hooks")
        state = _expect(setup.channel, "continue")["state"]
        hooks.run(setup.spec["hooks"].get("createContainer") or [], state, "createContainer", setup.root_path)
    _protect(setup, linux, root, procfs)
    _enter(setup, root)
    os.close(root)
    if slave >= 0:
        setup.channel.send("console", descriptors=(master,))
        os.close(master)
    else:
        process.redirect(setup.streams)
    _become(setup, process_spec, slave, confinements)


def _join(setup: Setup) -> None:
    """Enter what the clone itself could not: other namespaces, the user's mapping, the cgroup."""
    plan = setup.plan
    if plan.is_new("user"):
        _expect(setup.channel, "mapped")
    if plan.is_new("user") or any(kind == "user" for kind, _, _ in plan.joins):
        namespaces.become_root()
        prctl.set_parent_death_signal(_KILL)  # changing ids took it back
    if not plan.staged:
        namespaces.join(plan.joins)
    if (setup.spec.get("linux") or {}).get("netDevices"):
        _expect(setup.channel, "devices")
    for file in setup.group_files:
        with step("join cgroup", setup.group.path):
            os.write(file, b"0")
        os.close(file)
    if plan.new_cgroup:
        with step("make cgroup namespace"):
            namespace.unshare(namespace.CLONE_NEWCGROUP)


def _expect(channel: Channel, kind: str) -> dict[str, Any]:
    message = channel.receive()
    if message is None:
        os._exit(255)  # the runtime is gone, and with it the reason to live
    if message[0]["kind"] != kind:
        raise OrlopError(f"init expected {kind} and got {message[0]['kind']}")
    return message[0]


def _set_names(setup: Setup) -> None:
    if setup.spec.get("hostname"):
        with step("set hostname", setup.spec["hostname"]):
            hostname.set_hostname(setup.spec["hostname"])
    if setup.spec.get("domainname"):
        with step("set domainname", setup.spec["domainname"]):
            hostname.set_domainname(setup.spec["domainname"])
    if setup.plan.has_own_network:
        with step("bring up", "lo"):
            link.set_up("lo")


def _build_root(setup: Setup, linux: dict[str, Any], process_spec: dict[str, Any]) -> tuple[int, int]:
    """Mount everything; returns descriptors of the root and of the procfs that was mounted on ``/proc``, if any."""
    if setup.clones_inside and "mount" in setup.plan.kinds:
        setup.root_tree = rootfs.open_tree(setup.root_path, setup.root_mounts)
        for each in setup.mounts:
            if each.options.bind and each.tree < 0:
                mounts.clone_source(each)
    if setup.root_tree >= 0:
        rootfs.isolate(setup.propagation)
        private = setup.propagation in (mount.MS_PRIVATE, mount.MS_UNBINDABLE)
        kind = mount.MS_PRIVATE if private else mount.MS_SLAVE
        mounts.detach_from_peers(setup.root_tree, kind)
        rootfs.attach(setup.root_tree, setup.root_path)
        root = setup.root_tree
        for each in setup.mounts:
            # In a shared container a volume may stay a peer of the host's, so that mounts travel outwards too.
            if each.tree >= 0 and setup.propagation != mount.MS_SHARED:
                mounts.detach_from_peers(each.tree, kind)
    else:
        root = os.open(setup.root_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    is_private = setup.plan.new_cgroup or any(kind == "cgroup" for kind, _, _ in setup.plan.joins)
    mounter = mounts.Mounter(root, CgroupMounter(setup.group, is_private=is_private).make)
    for each in setup.mounts:
        mounter.make(each)
    if not mounter.binds_dev:
        devices.populate(root, linux.get("devices") or [])
    directory = process_spec.get("cwd") or "/"
    try:
        os.close(path.ensure_directory(root, directory))
    except OSError as error:
        # It may lie on a read-only mount or behind a magic link; entering it later gives the exact answer.
        if error.errno not in (30, 40, 13, 20, 18):
            raise StepFailed("make working directory", directory, error.strerror or "", error.errno or 0) from None
    if linux.get("sysctl"):
        _write_sysctls(linux["sysctl"], mounter.procfs)
    mounter.finish()
    return root, mounter.procfs


def _write_sysctls(sysctls: dict[str, str], procfs: int) -> None:
    """Write kernel parameters through a procfs that nobody else has touched (CVE-2025-52881)."""
    from orlop.runtime.spec import sysctl as parameters  # loaded when the configuration was checked

    own = procfs
    if own < 0:
        with step("mount private procfs"):
            own = mount.new("proc", "proc")
    try:
        for name, value in sysctls.items():
            with step("write sysctl", name):
                descriptor = path.open_beneath(own, f"sys/{parameters.path_of(name)}", os.O_WRONLY)
                try:
                    os.write(descriptor, str(value).encode())
                finally:
                    os.close(descriptor)
    finally:
        if own != procfs:
            os.close(own)


def _protect(setup: Setup, linux: dict[str, Any], root: int, procfs: int) -> None:
    if setup.root_tree >= 0:
        masks.protect(root, linux.get("readonlyPaths") or (), procfs)
        masks.mask(root, linux.get("maskedPaths") or (), procfs)
        if (setup.spec.get("root") or {}).get("readonly"):
            rootfs.make_readonly(root)
    if procfs >= 0:
        os.close(procfs)


def _enter(setup: Setup, root: int) -> None:
    process.forbid_imports()
    if "mount" not in setup.plan.kinds or not setup.plan.is_new("mount"):
        rootfs.enter_by_chroot(root)
    elif setup.no_pivot:
        rootfs.enter_by_move(root, setup.root_path)
    else:
        rootfs.enter_by_pivot(root)
    if setup.root_tree >= 0:
        rootfs.propagate(root, setup.propagation)


def _become(setup: Setup, process_spec: dict[str, Any], slave: int, confinements: list[labels.Label]) -> None:
    """Turn into the container's program, with a stop before it until the container is started."""
    linux = setup.spec.get("linux") or {}
    user = process_spec.get("user") or {}
    process.limit(process_spec)
    if linux.get("personality"):
        from orlop.linux import scheduling

        with step("set personality", linux["personality"]["domain"]):
            scheduling.set_personality(linux["personality"]["domain"])
    if linux.get("memoryPolicy"):
        _set_memory_policy(linux["memoryPolicy"])
    if not setup.no_new_keyring:
        with step("make session keyring"):
            keyring.join_new_session(setup.keyring)
    if slave >= 0:
        with step("use terminal"):
            console.use(slave)
    process.give_streams(user.get("uid") or 0, user.get("gid") or 0)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    identity = process.Identity(process_spec)
    identity.assume(keep=process.needed_for_filter(process_spec, setup.program))
    entries = process.environment(process_spec, root)
    if setup.listen:
        entries += [f"LISTEN_FDS={setup.listen}", f"LISTEN_PID={os.getpid()}"]
    process.enter_directory(root, process_spec.get("cwd") or "/")
    arguments = process_spec.get("args") or []
    file = executable.find(arguments[0], entries) if arguments else ""
    process.reset_signals()
    prctl.set_parent_death_signal(0)
    report, message = _await_start(setup, identity.warnings, [label.descriptor for label in confinements])
    try:
        if not file:
            raise CommandNotFound("process.args is not set: there is no program to run")
        jump = process.prepare_jump(report, sealed=setup.sealed)
        _start(setup, identity, message, confinements)
        first_closed = 3 + setup.preserve
        for descriptor in range(3, first_closed):
            os.set_inheritable(descriptor, True)
        process.execute(file, arguments, entries, report, first_closed=first_closed, jump=jump)
    except BaseException as error:  # noqa: BLE001 - likewise
        report.send("error", **channels.describe(error))
        os._exit(process.status_of(error))


def _set_memory_policy(policy: dict[str, Any]) -> None:
    from orlop.linux import scheduling

    with step("set memory policy", policy["mode"]):
        scheduling.set_memory_policy(policy["mode"], policy.get("flags") or [], policy.get("nodes") or "")


def _await_start(setup: Setup, warnings: list[str], spare: list[int]) -> tuple[Channel, dict[str, Any]]:
    """Say that the container is ready, wait for its start, and return where to report from then on."""
    keep = [*range(3, 3 + setup.preserve), *spare]
    if setup.notify is not None:
        keep.append(setup.notify.fileno())
    listener = setup.listener
    if listener is None:
        keep.append(setup.channel.descriptor)
        process.close_others(3, tuple(keep))
        setup.channel.send("ready", warnings=warnings)
        return setup.channel, _expect(setup.channel, "start")
    keep.append(listener.fileno())
    process.close_others(3, (*keep, setup.channel.descriptor))
    setup.channel.send("ready", warnings=warnings)
    setup.channel.close()
    while True:
        # What socket.accept is made of: importing `socket` would cost more than all of this.
        descriptor, _ = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        report = channels.Channel(_socket.socket(fileno=descriptor))
        message = report.receive()
        if message is not None and message[0]["kind"] == "start":
            listener.close()
            return report, message[0]
        if message is not None and message[0]["kind"] == "end":
            os._exit(255)  # who created us was killed before it could say that we exist
        report.close()  # who asked to start went away before saying so


def _start(setup: Setup, identity: process.Identity, message: dict[str, Any], confinements: list[labels.Label]) -> None:
    state = message["state"]
    hooks.run((setup.spec.get("hooks") or {}).get("startContainer") or [], state, "startContainer")
    for label in confinements:
        label.apply()
    listener = identity.shed(setup.program)
    if setup.program is not None:
        syscall_filter.hand_over(listener, setup.notify, state, setup.spec["linux"]["seccomp"])
