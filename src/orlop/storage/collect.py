"""Taking away what nothing needs any more, at any time, alongside pulls, builds and starts of containers.

A sweep first looks for what seems to be of no use, without getting in anybody's way. If there is any, it takes the lock
on the leases, so that nobody begins to hold on to anything, and asks again: what do the living leases hold, and after
that what do images and containers refer to? (An operation publishes what it made before it ends its lease. So what it made
is seen at one of the two; asked the other way round it could be missed.) What is not among them goes out of sight by
renames, which take no time. The lock is given back, and the space is freed at leisure. A sweep that is killed leaves
only what the next one finishes.
"""

from __future__ import annotations

import os
import time
from math import inf

from orlop.errors import OrlopError
from orlop.storage import digest as digests
from orlop.storage import ingest
from orlop.storage.snapshots.interface import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from orlop.storage.blobs import Blobs
    from orlop.storage.leases import Held
    from orlop.storage.snapshots.interface import Snapshots
    from orlop.storage.store import Storage

#: An interrupted download is kept for this many seconds, to go on with.
KEEP_INGESTS = 24 * 60 * 60


class Marked:
    """What images and containers refer to: digests of ``blobs``, and names of ``snapshots``.

    What a snapshot is made upon need not be among them, nor what active snapshots and views are made upon.
    """

    __slots__ = ("blobs", "snapshots")

    def __init__(self, blobs: Iterable[str] = (), snapshots: Iterable[str] = ()) -> None:
        self.blobs = set(blobs)
        self.snapshots = set(snapshots)


class Swept:
    """What a sweep took away: digests of ``blobs``, names of ``snapshots``, and how many ``bytes`` of the disk.

    ``inodes`` are those of the snapshots, which say how long freeing the space takes.
    """

    __slots__ = ("blobs", "bytes", "inodes", "snapshots")

    def __init__(self) -> None:
        self.blobs: list[str] = []
        self.snapshots: list[str] = []
        self.bytes = 0
        self.inodes = 0


def sweep(
    storage: Storage,
    mark: Callable[[], Marked],
    *,
    blobs: Collection[str] | None = None,
    snapshots: Collection[str] | None = None,
    everything: bool = False,
    finished: bool = True,
) -> Swept:
    """Take away what ``mark`` does not name and no lease holds; active snapshots stay, but those of abandoned leases go.

    ``mark`` is called twice, the second time under the lock on the leases: it must not hold anything by a lease. What
    it raises is passed on, and nothing has been taken away then.

    Args:
        storage: what to sweep.
        mark: says what is referred to.
        blobs: sweep at most these blobs; None means all.
        snapshots: sweep at most these snapshots; None means all.
        everything: interrupted downloads too, however new.
        finished: free the space, too; otherwise what is taken away is only out of sight, until somebody calls `finish`.

    Raises:
        OSError: something cannot be removed.
    """
    swept = Swept()
    with storage.leases.lock():
        held = storage.leases.held()
    if blobs is None:
        blobs = [digest for digest, _ in storage.blobs.walk()]
    marked = mark()
    blobs = set(blobs) - marked.blobs - held.blobs
    drop = _droppable(storage.snapshots, marked, held, snapshots)
    usage_of = {name: _usage(storage.snapshots, name) for name in drop}
    if blobs or drop:
        with storage.leases.lock():
            held = storage.leases.held()  # before `mark`
            marked = mark()
            drop &= _droppable(storage.snapshots, marked, held, snapshots)
            swept.snapshots = storage.snapshots.discard(drop)
            swept.bytes = sum(usage_of[name].bytes for name in swept.snapshots)
            swept.inodes = sum(usage_of[name].inodes for name in swept.snapshots)
            for digest in sorted(blobs - marked.blobs - held.blobs):
                _set_aside(storage.blobs, digest, swept)
    swept.bytes += ingest.sweep(storage.blobs, inf if everything else time.time() - KEEP_INGESTS)
    if finished:
        finish(storage)
    return swept


def finish(storage: Storage) -> None:
    """Free the space of what was taken out of sight, by this process or one that was killed.

    Raises:
        OSError: something cannot be removed.
    """
    storage.blobs.empty_trash()
    storage.snapshots.cleanup()


def _droppable(snapshots: Snapshots, marked: Marked, held: Held, candidates: Collection[str] | None) -> set[str]:
    """The snapshots that nothing needs: neither what refers to them, nor what is made upon them."""
    parents = {}
    drop = set()
    for info in snapshots.walk():
        parents[info.name] = info.parent
        if not digests.is_digest(info.name):
            if held.abandoned(info.name):
                drop.add(info.name)
        elif candidates is None or info.name in candidates:
            drop.add(info.name)
    drop -= marked.snapshots
    drop -= held.snapshots
    for name in parents.keys() - drop:
        parent = parents[name]
        while parent in drop:
            drop.remove(parent)
            parent = parents[parent]
    return drop


def _usage(snapshots: Snapshots, name: str) -> Usage:
    try:
        return snapshots.usage(name)
    except OrlopError:
        return Usage(0, 0)  # somebody else removed it, or its record is damaged


def _set_aside(blobs: Blobs, digest: str, swept: Swept) -> None:
    try:
        aside = blobs.set_aside(digest)
        gone = bool(aside)
        swept.bytes += _bytes_at(aside)
    except OSError as error:
        if error.errno not in ingest.FULL:
            raise
        # The trash needs a block for its directory: take longer, and make room.
        freed = blobs.remove(digest)
        swept.bytes += freed
        gone = freed > 0
    if gone:
        swept.blobs.append(digest)


def _bytes_at(path: str) -> int:
    try:
        return os.stat(path).st_blocks * 512 if path else 0
    except FileNotFoundError:
        return 0  # another process has finished what we began
