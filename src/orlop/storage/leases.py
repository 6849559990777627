"""Leases: what operations under way need to stay where it is, though no image names it yet, or no longer does.

An operation takes a lease, and holds on to blobs and snapshots by it *before* it looks whether they are there::

    with storage.leases.take() as lease:
        lease.hold(*digests)
        lease.hold_snapshot(*chain_ids)
        ...  # look, fetch what is missing, unpack, and at last publish what refers to them

What it then finds stays; what it does not find it adds, and that stays too, until the lease ends. By then an image or
a container refers to it, or nobody needs it.

A lease is a file in ``leases/`` with a line for each thing held. Whoever took it holds flock on it, so the lease of a
process that was killed ends with the process. Lines are added under the lock on ``leases/lock``, which a sweep
(`orlop.storage.collect`) has while it finds out what nothing refers to: what was not held by then is not there any
more when the lock is had, and what was held is not taken away. Each has it for as long as it takes to write a line, so
all take it exclusively; a sweep would wait for ever for a moment in which nobody shares it.
"""

from __future__ import annotations

import fcntl
import os

from orlop.errors import InvalidArgument
from orlop.storage import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

_LOCK = "lock"
_BLOB = "blob "
_SNAPSHOT = "snapshot "
_TEMPORARY = "lease-"


class Leases:
    """The leases of one store. Making the value touches nothing; the first use makes the directory."""

    __slots__ = ("directory",)

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def take(self) -> Lease:
        """A new lease, which costs nothing until something is held by it; use it as a context manager."""
        return Lease(self)

    def lock(self) -> Lock:
        """Keep everybody from adding to a lease, as a context manager; for sweeps.

        Who has it must not hold anything by a lease, and keeps every start of a container waiting.
        """
        return Lock(f"{self.directory}/{_LOCK}")

    def any_abandoned(self) -> bool:
        """Whether a process was killed that had a lease: what it was making is then of no use, and a sweep takes it away."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return False  # never used
        for name in names:
            if name == _LOCK:
                continue
            try:
                descriptor = os.open(f"{self.directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # released
            try:
                # Not one that was made just now and is going to be locked: those are made under the lock.
                with self.lock():
                    if _is_abandoned(descriptor) and os.path.exists(f"{self.directory}/{name}"):
                        return True
            finally:
                os.close(descriptor)
        return False

    def held(self) -> Held:
        """What all living leases hold, abandoned ones being removed. The caller has the `lock`.

        Whoever releases a lease has published before what refers to the things held. So ask this first, and what is
        referred to afterwards.
        """
        held = Held()
        for name in os.listdir(self.directory):
            if name != _LOCK:
                _read(f"{self.directory}/{name}", name, held)
        return held


class Held:
    """What leases hold: ``blobs`` (digests), ``snapshots`` (names and keys), and the names of the leases themselves."""

    __slots__ = ("blobs", "leases", "snapshots")

    def __init__(self) -> None:
        self.blobs: set[str] = set()
        self.snapshots: set[str] = set()
        self.leases: set[str] = set()

    def abandoned(self, key: str) -> bool:
        """Whether a snapshot's key was made by `Lease.temporary_key` of a lease that is over."""
        return key.startswith(_TEMPORARY) and key.removeprefix(_TEMPORARY).partition("-")[0] not in self.leases


class Lease:
    """What one operation holds on to. Several threads may use one lease."""

    __slots__ = ("_count", "_descriptor", "_leases", "_owner", "_path", "_released")

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._descriptor = -1
        self._path = ""
        self._count = 0
        self._owner = os.getpid()
        self._released = False

    def hold(self, *blobs: str) -> None:
        """Keep these blobs, now or once they are there, until the lease ends.

        Raises:
            InvalidArgument: one is no digest.
            InsufficientSpace: the disk is full.
            OSError: the lease cannot be written.
        """
        self.hold_all(blobs, ())

    def hold_snapshot(self, *names: str) -> None:
        """Keep these snapshots and all that they are made upon, now or once they are there, until the lease ends.

        Raises:
            InvalidArgument: one can be no snapshot's name.
            InsufficientSpace: the disk is full.
            OSError: the lease cannot be written.
        """
        self.hold_all((), names)

    def hold_all(self, blobs: Iterable[str], snapshots: Iterable[str]) -> None:
        """`hold` and `hold_snapshot` at once, which takes half as long.

        Raises:
            InvalidArgument: one is no digest, or can be no snapshot's name.
            InsufficientSpace: the disk is full.
            OSError: the lease cannot be written.
        """
        lines = [f"{_BLOB}{digests.check(each)}\n" for each in blobs]
        for name in snapshots:
            if not name or "\n" in name:
                raise InvalidArgument(f"invalid name of a snapshot: {name!r}")
            lines.append(f"{_SNAPSHOT}{name}\n")
        self._add(lines)

    def temporary_key(self) -> str:
        """A new key for an active snapshot that is of no use after this lease, and removed by a sweep if it is left.

        Raises:
            InsufficientSpace: the disk is full.
            OSError: the lease cannot be written.
        """
        with self._leases.lock():
            self._begin()
            self._count += 1
            return f"{_TEMPORARY}{os.path.basename(self._path)}-{self._count}"

    def release(self) -> None:
        """End the lease. Ending it twice is all right; a child that was forked meanwhile does not end its parent's."""
        self._released = True
        if self._descriptor < 0:
            return
        if self._owner == os.getpid():
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass  # somebody cleared the directory by hand
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # a child that was forked has the descriptor too
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _add(self, lines: list[str]) -> None:
        if not lines:
            return
        data = "".join(lines).encode("utf-8", "surrogateescape")
        with self._leases.lock():
            self._begin()
            start = os.fstat(self._descriptor).st_size
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError as error:
                os.ftruncate(self._descriptor, start)
                raise self._failure(error) from error

    def _begin(self) -> None:
        """Make the lease's file, if this is its first use. The caller has the lock, so no sweep sees it half made."""
        if self._released:
            raise ValueError("the lease is over")
        if self._descriptor >= 0:
            return
        path = f"{self._leases.directory}/{os.urandom(16).hex()}"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._failure(error) from error
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._descriptor = descriptor
        self._path = path

    def _failure(self, error: OSError) -> Exception:
        from orlop.storage.ingest import failure

        return failure(error, self._leases.directory)


class Lock:
    """An exclusive flock on a file, for as long as the context lasts."""

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Lock:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


def _read(path: str, name: str, held: Held) -> None:
    """Add what one lease holds, or remove it if its process is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # released
    try:
        if _is_abandoned(descriptor):
            os.unlink(path)
            return
        with open(descriptor, "rb", closefd=False) as file:
            text = file.read().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return  # released just now
    finally:
        os.close(descriptor)
    held.leases.add(name)
    for line in text.split("\n"):
        if line.startswith(_BLOB):
            held.blobs.add(line.removeprefix(_BLOB))
        elif line.startswith(_SNAPSHOT):
            held.snapshots.add(line.removeprefix(_SNAPSHOT))


def _is_abandoned(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
