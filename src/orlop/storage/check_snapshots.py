"""Verifying snapshots: each can tell what it is, has what it is made upon, and can be mounted."""

from __future__ import annotations

import errno

from orlop.errors import NotFound
from orlop.storage import digest as digests
from orlop.storage import mounts
from orlop.storage.problem import AGAIN, Problem, reason
from orlop.storage.snapshots.interface import COMMITTED, DAMAGED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orlop.storage.snapshots.interface import Info, Snapshots
    from orlop.storage.store import Storage

#: What a mount fails with if a layer's directory is gone or unreadable, and not because the machine cannot mount it.
_TREE_DAMAGED = (errno.ENOENT, errno.ENOTDIR, errno.EIO, errno.ESTALE, errno.EUCLEAN)


def verify(storage: Storage, needed: Mapping[str, str], *, repair: bool) -> Iterator[Problem]:
    """Snapshots that are damaged, missing, or left by operations that were killed."""
    snapshots = storage.snapshots
    infos = {info.name: info for info in snapshots.walk()}
    with storage.leases.lock():
        held = storage.leases.held()  # after the walk: a key that was made since is not in it
    damaged: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name, info in infos.items():
        if held.abandoned(name):
            damaged[name] = "was left by an operation that was killed"
        elif info.kind == DAMAGED:
            damaged[name] = "has a record that cannot be read"
        elif info.parent and info.parent not in infos:
            missing[info.parent] = name
        elif info.kind == COMMITTED and _is_whole(infos, info):
            what = _unmountable(snapshots, name)
            if what:
                damaged[name] = what
    damaged = {name: what for name, what in damaged.items() if snapshots.has(name)}
    yield from _damaged(storage, damaged, infos, needed, repair=repair)
    for name, child in missing.items():
        if snapshots.has(child) and not snapshots.has(name):
            user = needed.get(name) or needed.get(child, "")
            yield _missing(storage, name, f"is missing, {child} is made upon it", user)
    for name, user in needed.items():
        if name not in infos and name not in missing and not snapshots.has(name):
            yield _missing(storage, name, "is missing", user)


def _missing(storage: Storage, name: str, what: str, user: str) -> Problem:
    return Problem(f"snapshot {name}", _place(storage), what, AGAIN, user=user, repaired=False)


def _place(storage: Storage) -> str:
    return f"{storage.directory}/snapshots"


def _is_whole(infos: Mapping[str, Info], info: Info) -> bool:
    """Whether all that a snapshot is made upon is there, so that it should be possible to mount it."""
    seen = set()
    while info.parent and info.name not in seen:
        seen.add(info.name)
        if info.parent not in infos:
            return False
        info = infos[info.parent]
    return True


def _unmountable(snapshots: Snapshots, name: str) -> str:
    """What is wrong with a snapshot's tree; empty if it can be mounted."""
    try:
        with mounts.attached(snapshots.mounts(name)):
            return ""
    except NotFound:
        return ""  # removed meanwhile
    except OSError as error:
        if error.errno not in _TREE_DAMAGED:
            raise
        return f"cannot be mounted ({reason(error)})"


def _damaged(
    storage: Storage, damaged: Mapping[str, str], infos: Mapping[str, Info], needed: Mapping[str, str], *, repair: bool
) -> Iterator[Problem]:
    """Damaged snapshots. A repair removes them, but for what holds a container's own files or is still made upon."""
    own = {name for name in damaged if infos[name].kind == DAMAGED and not digests.is_digest(name)}
    gone = set(storage.snapshots.discard(damaged.keys() - own)) if repair else set()
    for name, what in damaged.items():
        subject = f"snapshot {name}"
        user = needed.get(name, "")
        if name in own:
            remedy = "save from there what is needed of it, and remove its container"
            yield Problem(subject, _place(storage), what, remedy, user=user, repaired=False)
        elif repair and name not in gone:
            above = ", ".join(sorted(info.name for info in infos.values() if info.parent == name))
            remedy = f"remove what is made upon it ({above}), and repair again"
            yield Problem(subject, _place(storage), what, remedy, user=user, repaired=False)
        else:
            yield Problem.of(subject, _place(storage), what, "removed", user=user, repaired=repair)
