"""Content on its way into the blob store: written aside, hashed as it comes, published by one rename.

A file in ``ingest/`` belongs to whoever holds flock on it, for as long as it lives. A file that nobody holds was left
by a process that was killed: `Ingest` goes on with it, and a sweep removes it (`sweep`).

The lock is on the open file, so it counts between the threads of one process too, and it moves with the file when that
is renamed. Whoever waited for it looks whether the file that it has locked is still the one at the path.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from orlop.errors import DigestMismatch, InsufficientSpace, NotFound
from orlop.storage import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from hashlib import _Hash
    from types import TracebackType

    from orlop.storage.blobs import Blobs
    from orlop.storage.leases import Lease

_NEW = "new-"
#: Seconds within which whoever made a file has certainly locked it.
_JUST_BEGUN = 60
_CHUNK = 1 << 20
#: Bytes after which they begin to be written to the disk.
_STRETCH = 8 << 20

#: How many seconds pass between two looks whether another's fetch has ended, for who wants to be asked meanwhile.
_PAUSE = 0.1

#: How a disk says that it is full: no blocks, no quota, or (as some network file systems have it) too large.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Aside:
    """A locked file in ``ingest/`` and the hash of what is in it."""

    __slots__ = ("_begun", "_blobs", "_descriptor", "_hash", "_owner", "_path", "offset")

    def __init__(self, blobs: Blobs, descriptor: int, path: str, algorithm: str) -> None:
        self._blobs = blobs
        self._descriptor = descriptor
        self._path = path
        self._owner = os.getpid()
        self._hash = digests.hasher(algorithm)
        #: How many bytes are in the file. A fetch that was interrupted goes on from here.
        self.offset = 0
        #: How many of them began to be written to the disk.
        self._begun = 0

    def close(self) -> None:
        """Stop; a file with nothing in it is removed. Closing twice is all right, and so is a forked child's closing."""
        if self._descriptor < 0:
            return
        if self._owner == os.getpid():
            if self._path and not self.offset:
                try:
                    os.unlink(self._path)
                except FileNotFoundError:
                    pass  # somebody cleared the directory by hand
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # a child that was forked has the descriptor too
        os.close(self._descriptor)
        self._descriptor = -1

    def _append(self, data: bytes | bytearray | memoryview) -> None:
        try:
            count = os.pwrite(self._descriptor, data, self.offset)
            size = len(data) if not isinstance(data, memoryview) else data.nbytes
            if count < size:
                rest = memoryview(data).cast("B")[count:]
                position = self.offset + count
                while rest:
                    count = os.pwrite(self._descriptor, rest, position)
                    rest = rest[count:]
                    position += count
        except OSError as error:
            raise self._failed(error) from error
        self._hash.update(data)
        self.offset += size
        if self.offset - self._begun >= _STRETCH:
            self._begin_writing()

    def _begin_writing(self) -> None:
        """Keep the disk busy meanwhile, so that there is little to wait for at the end."""
        from orlop.linux import disk

        disk.begin_writing(self._descriptor, self._begun, self.offset - self._begun)
        self._begun = self.offset

    def _discard(self) -> None:
        """Empty the file and begin anew."""
        os.ftruncate(self._descriptor, 0)
        self._hash = digests.hasher(self._hash.name)
        self.offset = self._begun = 0

    def _failed(self, error: OSError) -> Exception:
        """Give back the space that the content took; returns what to raise."""
        self._discard()
        return failure(error, self._blobs.directory)

    def _publish(self, digest: str) -> None:
        try:
            if os.fstat(self._descriptor).st_size != self.offset:
                os.ftruncate(self._descriptor, self.offset)  # a signal came in the middle of a write
            os.fdatasync(self._descriptor)
            target = self._blobs.path(digest)
            try:
                os.rename(self._path, target)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
                os.rename(self._path, target)
        except OSError as error:
            raise self._failed(error) from error
        self._path = ""


class Writer(_Aside):
    """A blob whose digest is known when it is all there (sha256). Leaving it without `commit` discards it."""

    __slots__ = ()

    def __init__(self, blobs: Blobs) -> None:
        while True:
            path = f"{blobs.ingests}/{_NEW}{os.urandom(16).hex()}"
            descriptor = _claim(blobs, path)
            if descriptor is not None:
                break
        super().__init__(blobs, descriptor, path, "sha256")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append some content; a quarter of a megabyte and more at a time is quick.

        Raises:
            InsufficientSpace: the disk is full.
            OSError: it cannot be written.
        """
        self._append(data)

    def commit(self, lease: Lease | None = None) -> tuple[str, int]:
        """Publish the blob, unless it is there already; returns its digest and size. ``lease`` holds it before.

        Raises:
            InsufficientSpace: the disk is full.
            OSError: it cannot be written.
        """
        digest, size = digests.result(self._hash), self.offset
        if lease is not None:
            lease.hold(digest)
        try:
            there = os.stat(self._blobs.path(digest)).st_size == size
        except FileNotFoundError:
            there = False
        if not there:
            self._publish(digest)
        self.close()
        return digest, size

    def close(self) -> None:
        """Stop; what was not committed is removed. Closing twice is all right."""
        self.offset = 0
        super().close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Ingest(_Aside):
    """A blob that is being fetched by its digest.

    It begins with `offset` bytes of an earlier fetch that was interrupted; the caller asks for the rest, or calls
    `restart` where that cannot be had. Leaving it without `commit` keeps what came for the next fetch, unless it was
    wrong. When `commit` refuses what began with an earlier fetch's bytes, those may be what was wrong, and a second
    attempt is worth while: they are gone then.
    """

    __slots__ = ("digest", "size")

    def __init__(self, blobs: Blobs, descriptor: int, path: str, digest: str, size: int) -> None:
        super().__init__(blobs, descriptor, path, digest.partition(":")[0])
        self.digest = digest
        #: The size that was declared, or -1.
        self.size = size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append some content; a quarter of a megabyte and more at a time is quick.

        Raises:
            DigestMismatch: that is more than was declared; all of it is discarded.
            InsufficientSpace: the disk is full.
            OSError: it cannot be written.
        """
        if 0 <= self.size < self.offset + (data.nbytes if isinstance(data, memoryview) else len(data)):
            self._discard()
            raise DigestMismatch(f"the blob {self.digest} is larger than the {self.size} bytes that were declared")
        self._append(data)

    def restart(self) -> None:
        """Begin anew, for a server that sends everything again."""
        self._discard()

    def commit(self) -> None:
        """Verify the content and publish it.

        Raises:
            DigestMismatch: it has another digest, or is shorter than was declared; it is discarded.
            InsufficientSpace: the disk is full.
            OSError: it cannot be written.
        """
        if 0 <= self.size != self.offset:
            came = self.offset
            self._discard()
            raise DigestMismatch(f"the blob {self.digest} has {came} bytes where {self.size} were declared")
        found = digests.result(self._hash)
        if found != self.digest:
            self._discard()
            raise DigestMismatch(f"the content that came for the blob {self.digest} has the digest {found}")
        self._publish(self.digest)
        self.close()

    def __enter__(self) -> Ingest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _resume(self) -> bool:
        """Take up what an earlier fetch left; whether that was all."""
        there = os.fstat(self._descriptor).st_size
        if 0 <= self.size < there:
            self._discard()
            return False
        self.offset = _hash_file(self._descriptor, self._hash)
        if self.offset and digests.result(self._hash) == self.digest and self.size in (-1, self.offset):
            self.commit()
            return True
        if self.offset == self.size:
            self._discard()
        return False

    def _need_space(self) -> None:
        """Find out that a disk is too full before anything is fetched."""
        system = os.fstatvfs(self._descriptor)
        free = system.f_bfree * system.f_frsize
        if system.f_blocks and self.size - self.offset > free:
            raise InsufficientSpace(
                f"cannot store the blob {self.digest} in {self._blobs.directory}: it needs {self.size - self.offset} "
                f"bytes and {free} are free; free some with 'orlop system prune' and try again"
            )


def begin(blobs: Blobs, digest: str, size: int, waiting: Callable[[], None] | None) -> Ingest | None:
    """See `Blobs.ingest`."""
    path = f"{blobs.ingests}/{digests.check(digest).replace(':', '-')}"
    while not _is_there(blobs, digest, size):
        descriptor = _claim(blobs, path, waiting)
        if descriptor is None:
            continue
        ingest = Ingest(blobs, descriptor, path, digest, size)
        try:
            if _is_there(blobs, digest, size):
                ingest.restart()  # published between our look and our lock
            elif ingest._resume():  # noqa: SLF001  # the other half of making it
                return None
            else:
                ingest._need_space()  # noqa: SLF001  # likewise
                return ingest
        except BaseException:
            ingest.close()
            raise
        ingest.close()
    return None


def failure(error: OSError, directory: str) -> Exception:
    """What to raise when something cannot be written: a disk that is full is the user's to empty."""
    if error.errno not in FULL:
        return error
    reason = os.strerror(error.errno)
    return InsufficientSpace(
        f"cannot write to {directory}: {reason[:1].lower()}{reason[1:]}; free some with 'orlop system prune'"
    )


def verify(descriptor: int, digest: str, directory: str) -> None:
    """Compare an open blob with its digest; see `Blobs.verify`."""
    state = digests.hasher(digest)
    _hash_file(descriptor, state)
    found = digests.result(state)
    if found != digest:
        raise DigestMismatch(f"the blob {digest} in {directory} is damaged: its content has the digest {found}")


def sweep(blobs: Blobs, before: float) -> int:
    """Remove what nobody is writing any more: fetches that nothing came for since ``before``, and new blobs.

    ``before`` is in seconds since 1970. Returns how many bytes of the disk that frees.
    """
    freed = 0
    for path, size in _abandoned(blobs, before):
        os.unlink(path)
        freed += size
    return freed


def abandoned(blobs: Blobs, before: float) -> list[str]:
    """The paths of what `sweep` would remove, but for what is so new that somebody may be about to lock it."""
    return [path for path, _ in _abandoned(blobs, before) if not _is_new(path)]


def _is_new(path: str) -> bool:
    try:
        return os.stat(path).st_mtime > time.time() - _JUST_BEGUN
    except FileNotFoundError:
        return True  # gone already


def _abandoned(blobs: Blobs, before: float) -> Iterator[tuple[str, int]]:
    """What `sweep` removes, each locked until the next is asked for, and how many bytes of the disk it takes."""
    try:
        names = os.listdir(blobs.ingests)
    except FileNotFoundError:
        return  # never used
    for name in names:
        path = f"{blobs.ingests}/{name}"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            if _lock(descriptor, path, wait=False):
                status = os.fstat(descriptor)
                # Who is about to lock a new one makes another (`_claim`).
                if name.startswith(_NEW) or status.st_mtime < before:
                    yield path, status.st_blocks * 512
        finally:
            os.close(descriptor)


def _is_there(blobs: Blobs, digest: str, size: int) -> bool:
    try:
        found = blobs.size(digest)
        if size in (-1, found):
            return True
        blobs.verify(digest)
    except (NotFound, DigestMismatch):
        return False  # what is fetched replaces one that is damaged
    raise DigestMismatch(f"the blob {digest} has {found} bytes, not {size} as was declared")


def _claim(blobs: Blobs, path: str, waiting: Callable[[], None] | None = None) -> int | None:
    """Make or open a file and wait for the lock on it; None if it was renamed or removed meanwhile."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(blobs.ingests, 0o700, exist_ok=True)  # somebody cleared the directory by hand
            descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise failure(error, blobs.directory) from error
    try:
        if waiting is not None:
            while not _try_lock(descriptor):
                waiting()
                time.sleep(_PAUSE)
        if _lock(descriptor, path, wait=True):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _lock(descriptor: int, path: str, *, wait: bool) -> bool:
    """Lock an open file; False if another has it and we do not wait, or if it is no longer at its path."""
    if wait:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    elif not _try_lock(descriptor):
        return False
    try:
        return os.fstat(descriptor).st_ino == os.stat(path).st_ino
    except FileNotFoundError:
        return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _hash_file(descriptor: int, state: _Hash) -> int:
    """Hash a file from its beginning; returns how many bytes it has."""
    buffer = memoryview(bytearray(_CHUNK))
    offset = 0
    while count := os.preadv(descriptor, [buffer], offset):
        state.update(buffer[:count])
        offset += count
    return offset
