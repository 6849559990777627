"""The layers of an image become snapshots: fetched and unpacked at the same time, committed in order.

Several processes may do this for images that share layers. Each layer is then fetched and unpacked once: whoever comes
second waits for the first, and goes on from there if that one fails or is killed. Nobody waits in a circle, because
whoever has a layer's lock is at work on it or waits for a layer below.
"""

from __future__ import annotations

import os

from orlop.errors import Conflict, NotFound, OrlopError
from orlop.images import layer_limits
from orlop.images import progress as words
from orlop.images.progress import Progress
from orlop.storage import ingest
from orlop.storage.layers import apply
from orlop.storage.named_lock import NamedLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from orlop.images.config import ImageConfig
    from orlop.images.manifest import Descriptor, Manifest
    from orlop.storage.layers.apply import Applied
    from orlop.storage.leases import Lease
    from orlop.storage.store import Storage

#: Layers that are fetched at the same time, as with Docker; others of the threads wait for layers to be unpacked.
FETCHES = 3

#: Layers that are unpacked at the same time, however many processors there are: each takes some 10 MB of memory.
_MOST_AT_ONCE = 8


class Layer:
    """One layer of an image: its blob's ``descriptor``, its ``diff_id``, and the chain IDs of itself and of what is below."""

    __slots__ = ("chain_id", "descriptor", "diff_id", "parent")

    def __init__(self, descriptor: Descriptor, diff_id: str, chain_id: str, parent: str) -> None:
        self.descriptor = descriptor
        self.diff_id = diff_id
        self.chain_id = chain_id
        #: Empty for the lowest layer.
        self.parent = parent

    @property
    def short(self) -> str:
        """What a progress line calls it."""
        return short(self.descriptor)


def layers_of(manifest: Manifest, config: ImageConfig) -> list[Layer]:
    """The layers of an image, the lowest first."""
    layers = []
    parent = ""
    for descriptor, diff_id, chain_id in zip(manifest.layers, config.diff_ids, config.chain_ids, strict=True):
        layers.append(Layer(descriptor, diff_id, chain_id, parent))
        parent = chain_id
    return layers


def commit(storage: Storage, name: str, key: str, applied: Applied | None, parent: str | None = None) -> None:
    """Make a layer that was unpacked a snapshot, a provisional one.

    Raises:
        Conflict: there is one of that name.
        InsufficientSpace: the disk is full.
        OSError: the file system fails.
    """
    usage = applied.usage if applied is not None else None
    try:
        storage.snapshots.commit(name, key, parent, provisional=True, usage=usage)
    except OSError as error:
        raise ingest.failure(error, storage.directory) from error


def locks(storage: Storage) -> str:
    """The directory of the locks on layers."""
    return f"{storage.directory}/locks"


def short(descriptor: Descriptor) -> str:
    """What a progress line calls a blob: the first 12 digits of its digest."""
    return descriptor.digest.partition(":")[2][:12]


class _Stopped(OrlopError):
    """Raised in a thread whose work nobody waits for any more."""


class _Stoppable(Progress):
    """Passes on what is told, and at a stop ends whoever tells it."""

    __slots__ = ("_told", "stopped")

    def __init__(self, told: Progress) -> None:
        self._told = told
        self.stopped = False

    def update(self, identifier: str, action: str, current: int | None = None, total: int | None = None) -> None:
        if self.stopped:
            raise _Stopped("stopped")
        self._told.update(identifier, action, current, total)

    def say(self, text: str) -> None:
        self._told.say(text)


class _Unpacked:
    """A layer whose lock we have: unpacked under ``key``, unless the driver needs the layers below first."""

    __slots__ = ("applied", "key", "lock")

    def __init__(self, lock: NamedLock) -> None:
        self.lock = lock
        self.key = ""
        self.applied: Applied | None = None


def unpack(
    storage: Storage,
    layers: Sequence[Layer],
    lease: Lease,
    fetch: Callable[[Descriptor, Progress], None] | None,
    progress: Progress,
    *,
    done: str = words.PULLED,
    stop: Callable[[], None] | None = None,
) -> list[str]:
    """Have a snapshot of every layer; the names of those that had to be made, which are provisional.

    ``fetch`` makes sure that a layer's blob is there; it is called from several threads, and ends when it tells of its
    progress and nobody waits for it any more, or when ``stop`` ends what it waits for. Without it all blobs are there.
    The lease holds the blobs and the snapshots already. ``done`` is what is told of a layer that is finished.

    Raises:
        InvalidArchive: a layer cannot be unpacked.
        DigestMismatch: a layer's content is not what the configuration says.
        OrlopError, OSError: whatever ``fetch`` raises, or the file system.
    """
    unpacking = _Unpacking(storage, lease, fetch, progress)
    there = [unpacking.is_there(layer) for layer in layers]
    made: list[str] = []
    if all(there):
        return made
    from concurrent.futures import ThreadPoolExecutor

    for layer, is_there in zip(layers, there, strict=True):
        if is_there:
            progress.update(layer.short, words.EXISTS)
        elif fetch is not None:
            progress.update(layer.short, words.PULLING)
    with ThreadPoolExecutor(FETCHES + unpacking.at_once, "orlop-layer") as threads:
        futures: list[Future[_Unpacked | None]] = []
        try:
            for layer in layers:
                futures.append(threads.submit(unpacking.begin, layer))  # noqa: PERF401 - an interrupt may come in between
            for layer, future in zip(layers, futures, strict=True):
                unpacked = future.result()
                if unpacked is None:
                    progress.update(layer.short, words.EXISTS)
                    continue
                if unpacking.finish(layer, unpacked):
                    made.append(layer.chain_id)
                progress.update(layer.short, done)
        except BaseException:
            for future in futures:
                future.cancel()
            unpacking.stop()
            if stop is not None:
                stop()
            for future in futures:
                _let_go(unpacking, future)
            raise
    return made


def _let_go(unpacking: _Unpacking, future: Future[_Unpacked | None]) -> None:
    """Throw away what was unpacked and not committed, and let others have the layer."""
    if future.cancelled() or future.exception() is not None:
        return
    unpacked = future.result()
    if unpacked is not None:
        unpacking.discard(unpacked)


class _Unpacking:
    """The steps of `unpack` for one layer."""

    __slots__ = (
        "_extracting",
        "_fetch",
        "_fetching",
        "_lease",
        "_limits",
        "_progress",
        "_snapshots",
        "_storage",
        "at_once",
    )

    def __init__(
        self,
        storage: Storage,
        lease: Lease,
        fetch: Callable[[Descriptor, Progress], None] | None,
        progress: Progress,
    ) -> None:
        import threading

        self._storage = storage
        self._snapshots = storage.snapshots
        self._lease = lease
        self._limits = layer_limits.configured()
        self._fetch = fetch
        self._progress = _Stoppable(progress)
        self._fetching = threading.BoundedSemaphore(FETCHES)
        #: How many layers are unpacked at the same time: each keeps a processor busy, and a part of a second one.
        self.at_once = min(len(os.sched_getaffinity(0)), _MOST_AT_ONCE)
        self._extracting = threading.BoundedSemaphore(self.at_once)

    def stop(self) -> None:
        """Begin nothing more, and end what is under way at its next step."""
        self._progress.stopped = True

    def begin(self, layer: Layer) -> _Unpacked | None:
        """Fetch a layer, and unpack it if that can be done before the layers below; None if its snapshot is there."""
        if self.is_there(layer):
            return None

        def waiting() -> None:
            self._progress.update(layer.short, words.WAITING)

        lock = NamedLock(locks(self._storage), f"unpack-{layer.chain_id.replace(':', '-')}")
        unpacked = _Unpacked(lock.acquire(waiting))
        try:
            with self._fetching:
                if self._fetch is not None and not self._progress.stopped:
                    self._fetch(layer.descriptor, self._progress)
            if self._progress.stopped or self.is_there(layer):
                unpacked.lock.release()
                return None
            if self._snapshots.independent_layers:
                self._extract(layer, unpacked, "")
        except BaseException:
            self.discard(unpacked)
            raise
        return unpacked

    def is_there(self, layer: Layer) -> bool:
        """Whether nothing has to be done for a layer."""
        return self._snapshots.has(layer.chain_id) and self._storage.blobs.has(layer.descriptor.digest)

    def _extract(self, layer: Layer, unpacked: _Unpacked, parent: str) -> None:
        key = self._lease.temporary_key()
        self._snapshots.prepare(key, parent)
        unpacked.key = key
        source = self._storage.blobs.open(layer.descriptor.digest)
        try:
            with self._extracting:
                self._progress.update(layer.short, words.EXTRACTING)
                unpacked.applied = apply.apply(
                    source,
                    self._snapshots.unpack_target(key),
                    media_type=layer.descriptor.media_type,
                    diff_id=layer.diff_id,
                    limits=self._limits,
                )
        finally:
            os.close(source)

    def finish(self, layer: Layer, unpacked: _Unpacked) -> bool:
        """Make the snapshot of a layer, those of the layers below being there; False if somebody else has made it."""
        if not unpacked.key:
            self._extract(layer, unpacked, layer.parent)
            parent = None
        elif layer.parent:
            parent = layer.parent
            self._inherit(parent, unpacked)
        else:
            parent = None
        try:
            commit(self._storage, layer.chain_id, unpacked.key, unpacked.applied, parent)
        except Conflict:
            self.discard(unpacked)  # somebody without our lock was quicker, which does no harm
            return False
        unpacked.key = ""
        unpacked.lock.release()
        return True

    def _inherit(self, parent: str, unpacked: _Unpacked) -> None:
        """Give directories that the layer did not name itself the owner and mode that they have below."""
        if unpacked.applied is None or not unpacked.applied.implicit_directories:
            return
        from orlop.storage.layers import inherit

        inherit.metadata(
            self._snapshots.mounts(parent),
            self._snapshots.unpack_target(unpacked.key).path,
            unpacked.applied.implicit_directories,
        )

    def discard(self, unpacked: _Unpacked) -> None:
        """Throw away what was unpacked; what was committed stays."""
        if unpacked.key:
            try:
                self._snapshots.remove(unpacked.key)
            except NotFound:
                pass  # committed just before whatever made us give up
            unpacked.key = ""
        unpacked.lock.release()
