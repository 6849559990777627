"""Putting the files of a container that does not run upon another snapshot, whoever is killed meanwhile.

What is going to be done is written into the container's record first, as ``Rebase``, and a file named for the container
in ``<root>/rebasing`` tells that there is such a record. Every step can be told to be done by looking, so whoever comes
next finishes what was begun (`finish`); what the record names is kept from sweeps by that.
"""

from __future__ import annotations

import os

from orlop.engine import container, container_tree, image_store
from orlop.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.engine.location import Location
    from orlop.storage.snapshots.interface import Snapshots
    from orlop.storage.store import Storage

#: A container's files are on so many layers at most, its image's included; where they would be on more they are copied.
#: The kernel stacks 500 of them.
MOST_LAYERS = 200


def rebase(target: container.Container, record: dict[str, Any], source: str, *, commit: str = "") -> None:
    """Have a container's files begin anew as the committed snapshot ``source``, and its record be ``record``.

    With ``commit`` what they are now is kept as the committed snapshot of that name, and otherwise forgotten.
    The caller holds the container's lock, and it does not run.

    Raises:
        OSError: the file system fails. What was begun is finished by the next command.
    """
    storage = image_store.open_storage(target.location)
    before = storage.snapshots.info(target.id).created
    _make_mark(target.location, target.id)
    wanted = {"Source": source, "Commit": commit, "Before": before}
    container.write(f"{target.directory}/{container.RECORD_FILE}", {**record, "Rebase": wanted})
    _finish(target, storage)


def finish(target: container.Container) -> None:
    """Finish what somebody began who was killed; nothing happens if that is still at it.

    Raises:
        OSError: the file system fails.
    """
    lock = container.lock(target.directory, wait=False)
    if lock is None:
        return  # it is being done, or the container is being removed
    try:
        _finish(target, image_store.open_storage(target.location))
    finally:
        os.close(lock)


def begin_as(snapshots: Snapshots, key: str, source: str) -> None:
    """Make an active snapshot that begins as a committed one: upon it, or if it has too many layers as a copy of it.

    Raises:
        NotFound: there is no such snapshot.
    """
    if len(layers_of(snapshots, source)) < MOST_LAYERS:
        snapshots.prepare(key, source)
    else:
        snapshots.duplicate(key, source)


def layers_of(snapshots: Snapshots, name: str, until: str = "") -> list[str]:
    """A committed snapshot and what it is made upon, as far as ``until``, which is not among them.

    Raises:
        NotFound: one of them does not exist.
    """
    found = []
    while name and name != until:
        found.append(name)
        name = snapshots.info(name).parent
    return found


def forget(location: Location, container_id: str) -> None:
    """Take away the mark of a container that is being removed."""
    try:
        os.unlink(_mark(location, container_id))
    except FileNotFoundError:
        return


def root_mounts(target: container.Container, snapshots: Snapshots) -> list[dict[str, Any]]:
    """What to mount to see a container's files, for its record."""
    from orlop.engine import mount_points

    mounts = mount_points.below(target.location, snapshots.mounts(target.id), target.directory)
    return [each.as_json() for each in mounts]


def as_owner(location: Location, action: Callable[[], None]) -> None:
    """Do what concerns files of a container's ids: an ordinary user's are handled in a user namespace.

    Raises:
        OrlopError: whatever ``action`` raises.
    """
    if not location.rootless or os.geteuid() == 0:
        action()
        return

    def act() -> dict[str, Any]:
        action()
        return {}

    container_tree.as_root_of_namespace(act)


def _finish(target: container.Container, storage: Storage) -> None:
    fresh = container.Container(target.location, target.id)
    record = dict(fresh.record)
    wanted = record.pop("Rebase", None)
    if wanted is not None:
        snapshots = storage.snapshots
        as_owner(target.location, lambda: _carry_out(snapshots, target.id, wanted))
        record["Base"] = snapshots.info(target.id).parent
        record["RootMounts"] = root_mounts(target, snapshots)
        container.write(f"{target.directory}/{container.RECORD_FILE}", record)
    forget(target.location, target.id)


def _carry_out(snapshots: Snapshots, key: str, wanted: dict[str, Any]) -> None:
    try:
        is_old = snapshots.info(key).created == wanted["Before"]
    except NotFound:
        is_old = False
    if is_old and wanted["Commit"]:
        snapshots.commit(wanted["Commit"], key)
    elif is_old:
        snapshots.remove(key)
    if not snapshots.has(key):
        begin_as(snapshots, key, wanted["Source"])


def _mark(location: Location, container_id: str) -> str:
    return f"{location.root}/rebasing/{container_id}"


def _make_mark(location: Location, container_id: str) -> None:
    os.makedirs(f"{location.root}/rebasing", 0o700, exist_ok=True)
    os.close(os.open(_mark(location, container_id), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
