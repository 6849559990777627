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

    from orlop.storage.leases import Held
    from orlop.storage.snapshots.interface import Info, Snapshots
    from orlop.storage.store import Storage

#: What a mount fails with if a layer's directory is gone or unreadable, and not because the machine cannot mount it.
_TREE_DAMAGED = (errno.ENOENT, errno.ENOTDIR, errno.EIO, errno.ESTALE, errno.EUCLEAN)


def verify(storage: Storage, needed: Mapping[str, str], *, repair: bool) -> Iterator[Problem]:
    """Snapshots that are damaged, lost, missing, or left by operations that were killed."""
    snapshots = storage.snapshots
    infos = {info.name: info for info in snapshots.walk()}
    with storage.leases.lock():
        held = storage.leases.held()  # after the walk: a key that was made since is not in it
    suspects = [name for name in infos if _look(snapshots, infos, name, held)]
    found: dict[str, _Damage] = {}
    gone: set[str] = set()
    if suspects:
        # What a sweep takes away while we look at it, and somebody then makes again, seems to be damaged as well. So look
        # again while nothing is taken away.
        with storage.leases.lock():
            held = storage.leases.held()
            infos = {info.name: info for info in snapshots.walk()}
            for name in infos.keys() & suspects:
                damage = _look(snapshots, infos, name, held)
                if damage:
                    found[name] = damage
            if repair:
                gone.update(snapshots.discard(name for name, damage in found.items() if not damage.keep))
    place = f"{storage.directory}/snapshots"
    for name, damage in sorted(found.items()):
        subject = f"snapshot {name}"
        user = needed.get(name, "")
        if damage.keep:
            yield Problem(subject, place, damage.what, damage.keep, user=user, repaired=False)
        elif repair and name not in gone:
            above = ", ".join(sorted(info.name for info in infos.values() if info.parent == name))
            remedy = f"remove what is made upon it ({above}), and repair again"
            yield Problem(subject, place, damage.what, remedy, user=user, repaired=False)
        else:
            yield Problem.of(subject, place, damage.what, "removed", user=user, repaired=repair)
    for name, user in needed.items():
        if name not in found and not snapshots.has(name):
            what = "was not yet on the disk when the machine went down" if name in infos else "is missing"
            yield Problem(f"snapshot {name}", place, what, AGAIN, user=user, repaired=False)


class _Damage:
    """What is wrong with a snapshot; if it is not to be removed, ``keep`` says what to do instead."""

    __slots__ = ("keep", "what")

    def __init__(self, what: str, keep: str = "") -> None:
        self.what = what
        self.keep = keep


def _look(snapshots: Snapshots, infos: Mapping[str, Info], name: str, held: Held) -> _Damage | None:
    info = infos[name]
    if held.abandoned(name):
        return _Damage("was left by an operation that was killed")
    if info.kind == DAMAGED:
        own = not digests.is_digest(name)
        keep = "save from there what is needed of it, and remove its container" if own else ""
        return _Damage("has a record that cannot be read", keep)
    if info.parent and info.parent not in infos:
        return _Damage(f"is made upon {info.parent}, which is missing", AGAIN)  # it is whole when that is back
    if info.kind == COMMITTED and _is_whole(infos, info):
        return _unmountable(snapshots, name)
    return None


def _is_whole(infos: Mapping[str, Info], info: Info) -> bool:
    """Whether all that a snapshot is made upon is there, so that it should be possible to mount it."""
    seen = set()
    while info.parent and info.name not in seen:
        seen.add(info.name)
        if info.parent not in infos:
            return False
        info = infos[info.parent]
    return True


def _unmountable(snapshots: Snapshots, name: str) -> _Damage | None:
    try:
        with mounts.attached(snapshots.mounts(name)):
            return None
    except NotFound:
        return None  # removed meanwhile, or lost, which who needs it is told
    except OSError as error:
        if error.errno not in _TREE_DAMAGED:
            raise
        return _Damage(f"cannot be mounted ({reason(error)})")
