"""What builds keep in an engine's store: results of steps, caches that steps mount, and what is known of contexts."""

from __future__ import annotations

import fcntl
import os

from orlop import filters
from orlop.build import result
from orlop.build.cache import Cache
from orlop.build.recopying import Copies
from orlop.build.value import Value
from orlop.engine import image_store, sweep
from orlop.storage import trees, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.build.cache import Kept
    from orlop.engine.location import Location
    from orlop.filters import Filter

RESULT, MOUNT = "regular", "exec.cachemount"


class Item(Value):
    """One thing that is kept: ``kind`` is `RESULT` or `MOUNT`, ``size`` its bytes, ``used`` seconds since the epoch."""

    kind: str
    id: str
    size: int
    used: float
    is_busy: bool
    text: str = ""
    #: The records that are this result.
    keys: tuple[str, ...] = ()


def marked(root: str) -> tuple[set[str], set[str]]:
    """The digests of blobs and the names of snapshots that records need."""
    blobs: set[str] = set()
    snapshots: set[str] = set()
    for each in Cache(root).kept():
        if each.record.layer is not None:
            blobs.add(each.record.layer.digest)
        if each.record.chain:
            snapshots.add(each.record.chain)
    return blobs, snapshots


def items(location: Location) -> list[Item]:
    """Everything that is kept, the least recently used first."""
    by_result: dict[tuple[str, str], list[Kept]] = {}
    for each in Cache(location.root).kept():
        record = each.record
        digest = record.layer.digest if record.layer is not None else ""
        # What changed nothing is one for each step; otherwise several keys may stand for one result.
        by_result.setdefault((digest or each.key, record.chain), []).append(each)
    found = [_result(keys) for keys in by_result.values()]
    found += _mounts(location)
    return sorted(found, key=lambda item: item.used)


def _result(kept: list[Kept]) -> Item:
    newest = max(kept, key=lambda each: each.used)
    size = newest.size
    return Item(RESULT, newest.key[:25], size, newest.used, False, newest.record.text, tuple(each.key for each in kept))


def _mounts(location: Location) -> list[Item]:
    top = f"{location.root}/build/mounts"
    found = []
    try:
        names = os.listdir(top)
    except FileNotFoundError:
        return []
    for name in names:
        path = f"{top}/{name}"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # pruned just now
        try:
            busy = not _is_free(descriptor)
            used = os.fstat(descriptor).st_mtime
            found.append(Item(MOUNT, name[:25], usage.of_tree(path).bytes, used, busy, "", (name,)))
        finally:
            os.close(descriptor)
    return found


def _is_free(descriptor: int) -> bool:
    """Whether no step has a cache mounted; if so, it is the descriptor's until that is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def prune(location: Location, wanted: Callable[[Item], bool]) -> list[Item]:
    """Remove what is wanted of it and not in use; what was removed.

    Raises:
        OrlopError: what images or containers need is not known, because a record is damaged.
        OSError: something cannot be removed.
    """
    gone = [item for item in items(location) if not item.is_busy and wanted(item)]
    removed = [item for item in gone if item.kind == RESULT or _remove_mount(location, item)]
    Cache(location.root).remove(key for item in removed if item.kind == RESULT for key in item.keys)
    if removed:
        Copies(location.root).forget()
    sweep.everything(location, image_store.open_store(location))
    return removed


def tests() -> dict[str, Filter]:
    """The filters by which items are chosen."""
    return {
        "id": filters.prefix(lambda item: item.id),
        "type": filters.same(lambda item: item.kind, RESULT, MOUNT),
        "until": filters.until(lambda item: result.rfc3339(int(item.used))),
    }


def to_keep(found: list[Item], size: int) -> set[str]:
    """The ids of the most recently used that together take no more than ``size`` bytes."""
    kept: set[str] = set()
    for item in sorted(found, key=lambda item: item.used, reverse=True):
        size -= item.size
        if size < 0:
            break
        kept.add(item.id)
    return kept


def _remove_mount(location: Location, item: Item) -> bool:
    path = f"{location.root}/build/mounts/{item.keys[0]}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # somebody else was quicker
    try:
        if not _is_free(descriptor):
            return False
        trees.remove(path)
    finally:
        os.close(descriptor)
    return True
