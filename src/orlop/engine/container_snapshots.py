"""Snapshots of a container's files: saved under a name, listed, removed, and gone back to.

A saved snapshot is a committed one of the storage (`orlop.storage.snapshots`) under a made-up digest, which the
container's record names. How it comes about:

- With btrfs the file system makes it at once, and with vfs the files are copied.
- With overlay, the files of a container that does not run *become* the snapshot, by a rename, and the container goes on
  in an empty layer upon it, whatever its size. What is mounted cannot be exchanged: so of a running container the layer
  that it writes to is copied, sharing the data where the file system can, while nothing in the container runs.

What is mounted into a container, its volumes above all, is not part of it. Snapshots go with their container; what a
fork of it (`orlop.engine.fork`) still stands on goes with the fork.
"""

from __future__ import annotations

import os

from orlop import clock
from orlop.engine import container, events, image_store, lost_snapshots, monitor_lock, pausing, rebasing, repair
from orlop.errors import Conflict, InvalidArgument, NotFound, OrlopError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location
    from orlop.storage.leases import Lease
    from orlop.storage.snapshots.interface import Snapshots

_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_LONGEST_NAME = 255


class Snapshot:
    """A saved one: its ``name``, when it was ``created``, its ``layer`` in the storage, and whether it ``stood_still``.

    The last is false if something could be writing while it was made, because the container could not be paused.
    """

    __slots__ = ("created", "layer", "name", "stood_still")

    def __init__(self, name: str, created: str, layer: str, *, stood_still: bool = True) -> None:
        self.name = name
        self.created = created
        self.layer = layer
        self.stood_still = stood_still


class held:  # noqa: N801 - used like a function, as contextlib's are
    """``with held(target) as (record, runs):`` a container stays as it is, running or not, and its record is its newest.

    Raises:
        NotFound: it was removed.
        Conflict: it is about to be started again by its restart policy.
        Unsupported: its files are not a snapshot.
    """

    __slots__ = ("_lock", "_target")

    def __init__(self, target: container.Container) -> None:
        self._target = target
        self._lock = -1

    def __enter__(self) -> tuple[dict[str, Any], bool]:
        target = self._target
        repair.look_after(target)
        lock = container.lock(target.directory)  # a start waits for it
        if lock is None:
            raise NotFound(f"no such container: {target.id[:12]}")
        self._lock = lock
        try:
            fresh = container.Container(target.location, target.id)
            record = dict(fresh.record)
            if not record.get("RootMounts"):
                raise Unsupported(
                    f"container {fresh.name} has no files of its own: it runs on {record['Image']}, not on an image"
                )
            status = fresh.state()["Status"]
            if status == "restarting":
                raise Conflict(f"container {fresh.name} is restarting: wait until it is running")
            if status != "running":
                monitor_lock.wait(target.location, target.id)  # it may be just clearing away
                lost_snapshots.look_after(fresh)
            return record, status == "running"
        except BaseException:
            os.close(lock)
            raise

    def __exit__(self, *_exception: object) -> None:
        os.close(self._lock)


def save(target: container.Container, name: str = "") -> Snapshot:
    """Save a container's files; without a name the snapshot gets a number.

    Raises:
        InvalidArgument: it can be no name.
        Conflict: the container has a snapshot of that name, or is restarting.
        NotFound: the container was removed.
        Unsupported: its files are not a snapshot.
        OSError: the file system fails.
    """
    if name and (name[0] in ".-" or not _CHARACTERS.issuperset(name) or len(name) > _LONGEST_NAME):
        raise InvalidArgument(
            f'invalid name of a snapshot "{name}": use letters, digits and _ . -, the first not . or -'
        )
    with held(target) as (record, runs):
        known = record.get("Snapshots") or []
        name = name or _free_name(known)
        if any(each["Name"] == name for each in known):
            raise Conflict(f"container {record['Name']} has a snapshot {name} already: name another, or remove it")
        saved = Snapshot(name, clock.now(), new_layer())
        entry = {"Name": name, "Created": saved.created, "Layer": saved.layer}
        changed = {**record, "Snapshots": [*known, entry]}
        storage = image_store.open_storage(target.location)
        if can_be_stacked(storage.snapshots, target.id, runs=runs):
            rebasing.rebase(target, changed, saved.layer, commit=saved.layer)
        else:
            with storage.leases.take() as lease:
                lease.hold_snapshot(saved.layer)
                saved.stood_still = _copy(target, storage.snapshots, lease, saved.layer, runs=runs)
                container.write(f"{target.directory}/{container.RECORD_FILE}", changed)
    events.of_container(target, "snapshot", {"snapshot": name})
    return saved


def every(target: container.Container) -> list[Snapshot]:
    """A container's saved snapshots, the oldest first."""
    known = target.record.get("Snapshots") or []
    return [Snapshot(each["Name"], each["Created"], each["Layer"]) for each in known]


def find(record: dict[str, Any], name: str) -> str:
    """The layer of a container's snapshot.

    Raises:
        NotFound: it has none of that name.
    """
    for each in record.get("Snapshots") or ():
        if each["Name"] == name:
            return str(each["Layer"])
    raise NotFound(f"container {record['Name']} has no snapshot {name}")


def remove(target: container.Container, name: str) -> None:
    """Forget a saved snapshot. What the container, or another snapshot, still stands on goes with these.

    Raises:
        NotFound: there is none of that name, or the container was removed.
    """
    with held(target) as (record, _):
        layer = find(record, name)
        record["Snapshots"] = [each for each in record["Snapshots"] if each["Name"] != name]
        if not record["Snapshots"]:
            del record["Snapshots"]
        snapshots = image_store.open_storage(target.location).snapshots
        gone = rebasing.layers_of(snapshots, layer, record["Top"])
        container.write(f"{target.directory}/{container.RECORD_FILE}", record)
    sweep(target.location, gone)


def restore(target: container.Container, name: str, timeout: float | None = None) -> bool:
    """Have a container's files be what they were; whether it ran, in which case it was stopped and started again for it.

    What its files were until now is lost. ``timeout`` is for the stop (`orlop.engine.signalling.stop`).

    Raises:
        NotFound: there is no snapshot of that name, or the container was removed.
        Conflict: the container is restarting, or somebody has just started it.
        Unsupported: it runs, and is removed when it stops.
        OrlopError: it could not be started again.
    """
    from orlop.engine import restart, signalling

    with held(target) as (record, runs):
        find(record, name)
        if runs and record["HostConfig"]["AutoRemove"]:
            raise Unsupported(f"container {record['Name']} runs, and --rm removes it when it is stopped for that")
    if runs:
        signalling.stop(target, timeout)
    with held(target) as (record, runs_again):
        if runs_again:
            raise Conflict(f"container {record['Name']} has just been started: try again")
        layer = find(record, name)
        snapshots = image_store.open_storage(target.location).snapshots
        gone = rebasing.layers_of(snapshots, snapshots.info(target.id).parent, record["Top"])
        rebasing.rebase(target, record, layer)
    sweep(target.location, gone)
    events.of_container(target, "restore", {"snapshot": name})
    if runs:
        session = restart.start(target)
        if session is not None:
            session.wait_started()
            session.leave()
    return runs


def new_layer() -> str:
    """A name for a committed snapshot that is not an image's."""
    return f"sha256:{os.urandom(32).hex()}"


def can_be_stacked(snapshots: Snapshots, key: str, *, runs: bool) -> bool:
    """Whether a container's files can be made a layer that others stand on, instead of being copied."""
    if runs or not snapshots.independent_layers:
        return False
    return len(rebasing.layers_of(snapshots, snapshots.info(key).parent)) < rebasing.MOST_LAYERS


def duplicate(target: container.Container, snapshots: Snapshots, key: str, *, runs: bool) -> bool:
    """Make an active snapshot of a container's files as they are; whether nothing could write to them meanwhile.

    Raises:
        OSError: the file system fails.
    """
    stands = True
    if runs:
        with pausing.paused(target) as stands:
            rebasing.as_owner(target.location, lambda: _duplicate(snapshots, key, target.id))
    else:
        rebasing.as_owner(target.location, lambda: _duplicate(snapshots, key, target.id))
    return stands


def layers(record: dict[str, Any]) -> list[str]:
    """The committed snapshots that a container needs beside its image's."""
    wanted = record.get("Rebase") or {}
    found = [record.get("Base"), wanted.get("Source"), *(each["Layer"] for each in record.get("Snapshots") or ())]
    return [each for each in found if each]


def own_layers(snapshots: Snapshots, key: str, record: dict[str, Any]) -> list[str]:
    """The committed snapshots between a container's own and its image's, and those that it has saved.

    Raises:
        NotFound: one is gone.
    """
    found = rebasing.layers_of(snapshots, snapshots.info(key).parent, record["Top"])
    for each in record.get("Snapshots") or ():
        found += [layer for layer in rebasing.layers_of(snapshots, each["Layer"], record["Top"]) if layer not in found]
    return found


def sweep(location: Location, names: list[str]) -> None:
    """Remove those of these committed snapshots that nothing needs any more.

    Raises:
        OSError: something cannot be removed.
    """
    from orlop.engine import sweep as sweeps
    from orlop.storage import collect

    if not names:
        return
    images = image_store.open_store(location)
    try:
        collect.sweep(
            images.storage, lambda: sweeps.marked(location, images), blobs=(), snapshots=names, finished=False
        )
    except OrlopError:
        return  # a record is damaged, so that it is not known what is needed: a later sweep takes them
    rebasing.as_owner(location, images.storage.snapshots.cleanup)


def withdraw(location: Location, container_id: str, record: dict[str, Any]) -> list[str]:
    """The layers that may be of no use once a container is gone, which is being removed; for `sweep`."""
    rebasing.forget(location, container_id)
    snapshots = image_store.open_storage(location).snapshots
    found: list[str] = []
    for name in layers(record):
        try:
            found += rebasing.layers_of(snapshots, name, record["Top"])
        except NotFound:
            continue  # it was not yet there, or is no more
    return found


def _copy(target: container.Container, snapshots: Snapshots, lease: Lease, layer: str, *, runs: bool) -> bool:
    key = lease.temporary_key()
    try:
        stands = duplicate(target, snapshots, key, runs=runs)
        rebasing.as_owner(target.location, lambda: snapshots.commit(layer, key))
    except BaseException:
        if snapshots.has(key):
            rebasing.as_owner(target.location, lambda: snapshots.remove(key))
        raise
    return stands


def _duplicate(snapshots: Snapshots, key: str, source: str) -> None:
    snapshots.duplicate(key, source)


def _free_name(known: list[dict[str, Any]]) -> str:
    taken = {each["Name"] for each in known}
    number = len(known) + 1
    while str(number) in taken:
        number += 1
    return str(number)
