"""A container's whole file system as an archive."""

from __future__ import annotations

import os

from orlop.engine import events, image_store, lost_snapshots, repair
from orlop.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container
    from orlop.runtime.channel import Channel


def export(target: Container, output: int) -> None:
    """Write all files of a container to a descriptor, as a tar archive; of what is mounted there only the places.

    An ordinary user's process has to be outside of any user namespace of its own; this may leave it in one.

    Raises:
        Unsupported: the container is one of the image ``host``, which is made of mounts.
        OrlopError: something cannot be read.
        OSError: the output cannot be written to.
    """
    repair.look_after(target)
    record = target.record
    events.emit(target.location, events.CONTAINER, "export", target.id, events.attributes(record))
    if record["Rootfs"]:
        _directory(target, record["Rootfs"], output)
    elif not record.get("RootMounts"):
        raise Unsupported(f"container {target.name} cannot be exported: its files are views of this machine's own")
    elif not _running(target, output):
        _stopped(target, output)


def _directory(target: Container, rootfs: str, output: int) -> None:
    from orlop.engine import own_namespace
    from orlop.storage.layers import diff

    if target.location.rootless:
        own_namespace.enter()  # where files of the user's subordinate ids can be read
    directory = os.open(rootfs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        diff.export(directory, output)
    finally:
        os.close(directory)


def _stopped(target: Container, output: int) -> None:
    from orlop.engine import own_namespace
    from orlop.storage import mounts
    from orlop.storage.layers import diff

    lost_snapshots.look_after(target)
    if target.location.rootless:
        own_namespace.enter()
    base = image_store.open_storage(target.location).snapshots.diff_base(target.id)
    with mounts.attached(base.mounts) as directory:
        diff.export(directory, output)


def _running(target: Container, output: int) -> bool:
    """Export a container that runs, as it sees itself; False if it does not run.

    Its overlay may be mounted only once, so the one that is there is looked at.
    """
    from orlop.engine import own_namespace
    from orlop.storage.layers import diff

    tree = _tree_of(target)
    if tree < 0:
        return False
    if target.location.rootless:
        own_namespace.enter()
    try:
        directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=tree)
        try:
            diff.export(directory, output)
        finally:
            os.close(directory)
    finally:
        os.close(tree)
    return True


def _tree_of(target: Container) -> int:
    """The root of a running container without what is mounted in it, as a detached mount; -1 if it does not run."""
    from orlop.engine import child
    from orlop.errors import NotFound
    from orlop.linux import pidfd
    from orlop.runtime import channel
    from orlop.runtime.container import Container as RuntimeContainer

    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
        process = pidfd.open_process(inner.pid)
    except (NotFound, ProcessLookupError):
        return -1
    ours, theirs = channel.pair()
    try:
        if not inner.alive():  # so the number may be another's by now
            return -1
        child.run(lambda: _send_tree(process, theirs, own_users=target.location.rootless))
        ours.socket.setblocking(False)
        answer = ours.receive()
        return answer[1][0] if answer is not None else -1
    finally:
        ours.close()
        theirs.close()
        os.close(process)


def _send_tree(process: int, to: Channel, *, own_users: bool) -> None:
    """In a child: enter the container's mount namespace, and hand its root out.

    Nothing more is done there: all paths, that of /proc too, are the container's to make up.
    """
    from orlop.linux import mount, namespace, prctl
    from orlop.runtime.process import forbid_imports

    prctl.set_dumpable(False)  # nothing of the container is to look into us
    forbid_imports()
    namespace.join(process, namespace.CLONE_NEWNS | (namespace.CLONE_NEWUSER if own_users else 0))
    tree = mount.clone(mount.AT_FDCWD, "/")
    to.send("tree", descriptors=(tree,))
