"""A container's files as the container sees them, volumes and all, as one detached tree of mounts.

Nobody enters the container for that. Where it runs, a child joins its mount namespace, copies the tree of mounts there,
and hands it out. Where it does not, a child mounts the same in a mount namespace of its own: the container's snapshot,
and what is bound into it. The files are then reached from the tree's root by descriptor (`orlop.linux.path`), with all
links read as the container would read them: whatever it does meanwhile, there is no way from there to the host's files.
What the kernel shows in /proc and /sys is in the tree of a running container too; `is_kernel_s` tells.
"""

from __future__ import annotations

import os

from orlop import json_text
from orlop.engine import container, lost_snapshots, monitor_lock, repair
from orlop.errors import Conflict, NotFound, OrlopError, Unsupported
from orlop.linux import mount, namespace, prctl
from orlop.runtime import channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.runtime.channel import Channel

#: File systems that are no files, but the kernel itself (linux/magic.h): what is written there can change the machine.
_KERNEL_S = frozenset(
    (
        mount.PROC_SUPER_MAGIC,
        mount.SYSFS_MAGIC,
        0x27E0EB,  # cgroup
        0x63677270,  # cgroup2
        0x64626720,  # debugfs
        0x74726163,  # tracefs
        0x73636673,  # securityfs
        0xF97CFF8C,  # selinuxfs
        0xCAFE4A11,  # bpf
        0x62656570,  # configfs
        0x6165676C,  # pstore
        0xDE5E81E4,  # efivarfs
        0x42494E4D,  # binfmt_misc
        0x65735543,  # fusectl
        0x1CD1,  # devpts
        0x19800202,  # mqueue
        0x6E736673,  # nsfs
    )
)


class _Ended(Exception):
    """The container has ended since we looked."""


def is_kernel_s(descriptor: int) -> bool:
    """Whether an open file is one of those that the kernel makes up."""
    return mount.statfs_type(descriptor) in _KERNEL_S


def visit(target: container.Container, action: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """Call ``action`` with a descriptor (O_PATH) of the root of a container's tree, and return what it returns.

    That happens in a forked child, where an ordinary user is root of a namespace of theirs; the result comes back as
    JSON. A container that does not run is not started, removed or renamed meanwhile.

    Raises:
        NotFound: the container was removed.
        Conflict: it is about to be started again by its restart policy.
        Unsupported: it does not run, and its files are views of this machine's own.
        OrlopError: whatever ``action`` raises, or a mount that cannot be made.
    """
    while True:
        repair.look_after(target)
        process = process_of(target)
        found = _visit_running(target, process, action) if process >= 0 else _visit_stopped(target, action)
        if found is not None:
            return found


def as_root_of_namespace(action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Call ``action`` in a forked child that is root in a user namespace of this ordinary user's.

    Raises:
        OrlopError: whatever it raises.
    """

    def act() -> dict[str, Any]:
        from orlop.engine import own_namespace

        own_namespace.enter()
        return action()

    return _in_child(act)


def process_of(target: container.Container) -> int:
    """A pidfd of the container's first process; -1 if it does not run."""
    from orlop.linux import pidfd
    from orlop.runtime.container import Container as RuntimeContainer

    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
        process = pidfd.open_process(inner.pid)
    except (NotFound, ProcessLookupError):
        return -1
    if inner.alive():  # so the number is not another's by now
        return process
    os.close(process)
    return -1


def _visit_running(
    target: container.Container, process: int, action: Callable[[int], dict[str, Any]]
) -> dict[str, Any] | None:
    """Visit a container by its first process; None if that has ended."""
    try:
        return _in_child(lambda: _running(target, process, action))
    except _Ended:
        return None
    finally:
        os.close(process)


def _running(target: container.Container, process: int, action: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    from orlop.engine import own_namespace

    tree = _tree(target, process)
    if target.location.rootless:
        own_namespace.enter()
    return action(tree)


def open_mount(target: container.Container, path: str) -> int:
    """A detached copy of what a running container has mounted at a path; -1 if it has just ended.

    Raises:
        OrlopError: there is nothing there, or the kernel refuses.
    """
    process = process_of(target)
    if process < 0:
        return -1
    try:
        return _tree(target, process, path)
    except _Ended:
        return -1
    finally:
        os.close(process)


def _tree(target: container.Container, process: int, path: str = "/") -> int:
    """A detached copy of a running container's mounts."""
    from orlop.engine import child

    ours, theirs = channel.pair()
    try:
        child.run(lambda: _send_tree(process, theirs, path, own_users=target.location.rootless))
        ours.socket.setblocking(False)
        answer = ours.receive()
    except (OrlopError, BlockingIOError):
        if _has_ended(process):
            raise _Ended from None
        raise
    finally:
        ours.close()
        theirs.close()
    if answer is None:
        raise _Ended
    return answer[1][0]


def _has_ended(process: int) -> bool:
    import select

    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(0))


def _send_tree(process: int, to: Channel, path: str, *, own_users: bool) -> None:
    """In a child: enter the container's mount namespace, and hand a copy of its mounts out.

    Nothing more is done there: all paths, that of /proc too, are the container's to make up.
    """
    from orlop.runtime.process import forbid_imports

    prctl.set_dumpable(False)  # nothing of the container is to look into us
    forbid_imports()
    namespace.join(process, namespace.CLONE_NEWNS | (namespace.CLONE_NEWUSER if own_users else 0))
    to.send("tree", descriptors=(mount.clone(mount.AT_FDCWD, path, recursive=True),))


def _visit_stopped(target: container.Container, action: Callable[[int], dict[str, Any]]) -> dict[str, Any] | None:
    """Visit a container that does not run; None if it does after all."""
    lock = container.lock(target.directory)  # a start waits for it
    if lock is None:
        raise NotFound(f"no such container: {target.id[:12]}")
    try:
        status = target.state()["Status"]
        if status == "restarting":
            raise Conflict(f"container {target.name} is restarting: wait until it is running")
        if status == "running":
            return None
        monitor_lock.wait(target.location, target.id)  # it may be just clearing away
        record = target.record
        if not record["Rootfs"] and not record.get("RootMounts"):
            raise Unsupported(
                f"container {target.name} does not run, and its files are views of this machine's own: start it first"
            )
        lost_snapshots.look_after(target)
        return _in_child(lambda: action(_assemble(target)))
    finally:
        os.close(lock)


def _assemble(target: container.Container) -> int:
    """In a child: mount the container's root and what is bound into it, where nobody else sees it."""
    from orlop.engine import late, own_namespace
    from orlop.runtime import mounts, rootfs

    is_late = bool(target.record.get("Late"))
    config = container.read(f"{target.directory}/{late.TEMPLATE_FILE if is_late else 'config.json'}")
    if config is None:
        raise NotFound(f"no such container: {target.id[:12]}")
    if target.location.rootless:
        own_namespace.enter()
    else:
        namespace.unshare(namespace.CLONE_NEWNS)
    rootfs.isolate(mount.MS_PRIVATE)
    path = config["root"]["path"]
    tree = rootfs.open_tree(path, target.record.get("RootMounts") or ())
    mount.set_attributes(tree, propagation=mount.MS_PRIVATE, recursive=True)
    place = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mount.attach(tree, place)
    os.close(place)
    if is_late:
        _find_volumes(target, config)
    mounter = mounts.Mounter(tree, _no_cgroups)
    entries = config.get("mounts") or []
    for each, entry in zip(mounts.read(entries, target.directory), entries, strict=True):
        # /dev and the like are only there while the container runs, and so is what is on a tmpfs.
        if each.options.bind and not each.options.remount:
            mounts.clone_source(each)
            mounts.map_ids(each, entry, config.get("linux") or {})
            mounter.make(each)
    if config["root"].get("readonly"):
        mount.set_attributes(tree, mount.MOUNT_ATTR_RDONLY)
    return mount.clone(tree, recursive=True)


def _find_volumes(target: container.Container, config: dict[str, Any]) -> None:
    """Mount volumes that have a file system of their own."""
    from orlop.engine import host_mounts, volume_store

    for point in target.record.get("Mounts") or ():
        entry = next((each for each in config["mounts"] if each["destination"] == point["Destination"]), None)
        if point["Type"] == "volume":
            host_mounts.mount_here(volume_store.find(target.location, point["Name"]))
        elif point["Type"] == "image" and point.get("Subpath") and entry is not None:
            config["mounts"].remove(entry)  # of an image nothing can be changed, and all of it be had from it


def _no_cgroups(_target: int, _mount: object) -> None:
    """Control groups are mounted only where there are some."""


def _in_child(action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Call ``action`` in a forked child; its result, or its error raised again."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            container.write_all(writer, json_text.dumps(_outcome(action)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    try:
        with open(reader, "rb", closefd=False) as file:
            text = file.read()
    finally:
        os.close(reader)
        _, status = os.waitpid(child, 0)
    if status or not text:
        raise OrlopError("a process of orlop's own ended without a word")
    outcome: dict[str, Any] = json_text.loads(text)
    if "ended" in outcome:
        raise _Ended
    if "error" in outcome:
        raise channel.revive(outcome["error"])
    found: dict[str, Any] = outcome["found"]
    return found


def _outcome(action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"found": action()}
    except _Ended:
        return {"ended": True}
    except OrlopError as error:
        return {"error": channel.describe(error)}
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return {"error": channel.describe(OrlopError(f"{where}{error.strerror or error}"))}
    except Exception as error:  # noqa: BLE001 - a forked child must not return into the caller's code
        return {"error": channel.describe(OrlopError(f"{type(error).__name__}: {error}"))}
