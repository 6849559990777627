"""Blobs: content that is named by its digest and never changes, kept as an OCI image layout (image-layout.md).

``oci-layout``
    the layout's version
``blobs/<algorithm>/<hexadecimal>``
    whole and verified content; whatever is here may be read at any time, by anybody, without a lock
``ingest/``
    content that is still being written (`orlop.storage.ingest`), and what an interrupted download left
``trash/``
    blobs that were removed, until somebody has the time to free their space

A blob is published by one rename and taken away by another. Whoever has it open keeps it for as long as it is open;
whoever needs it to be there later holds a lease on it (`orlop.storage.leases`).
"""

from __future__ import annotations

import os
import stat

from orlop.errors import NotFound, OrlopError
from orlop.storage import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orlop.storage.ingest import Ingest, Writer
    from orlop.storage.leases import Lease

#: Nobody else may look in: a layer may hold a setuid program that the host has since repaired (CVE-2021-41091).
_PRIVATE = 0o700

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'

#: What `Blobs.read` reads at most: manifests and configurations are far smaller, and registries refuse larger ones.
SMALL = 4 << 20


class Blobs:
    """The blobs below one directory. Making the value touches nothing; `prepare` makes the directories."""

    __slots__ = ("directory", "ingests", "trash")

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.ingests = f"{directory}/ingest"
        self.trash = f"{directory}/trash"

    def prepare(self) -> None:
        """Make what is missing of the layout.

        Raises:
            OSError: a directory or file cannot be made.
        """
        if os.path.exists(f"{self.directory}/oci-layout"):
            return  # written last
        os.makedirs(self.directory, _PRIVATE, exist_ok=True)
        for directory in (f"{self.directory}/blobs", f"{self.directory}/blobs/sha256", self.ingests, self.trash):
            try:
                os.mkdir(directory, _PRIVATE)
            except FileExistsError:
                continue
        self.write_layout()

    def write_layout(self) -> None:
        """Write the file that says which version of the layout this is."""
        aside = f"{self.directory}/.oci-layout-{os.urandom(8).hex()}"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, LAYOUT)
            os.fdatasync(descriptor)
            os.rename(aside, f"{self.directory}/oci-layout")
        except OSError:
            os.unlink(aside)
            raise
        finally:
            os.close(descriptor)

    def path(self, digest: str) -> str:
        """Where a blob is, or would be.

        Raises:
            InvalidArgument: it is no digest; so no text from outside becomes part of a path.
        """
        algorithm, _, encoded = digests.check(digest).partition(":")
        return f"{self.directory}/blobs/{algorithm}/{encoded}"

    def has(self, digest: str) -> bool:
        """Whether a blob is there. It is there tomorrow if a lease was taken on it before this was asked.

        Raises:
            InvalidArgument: it is no digest.
        """
        return os.path.exists(self.path(digest))

    def size(self, digest: str) -> int:
        """A blob's size in bytes.

        Raises:
            InvalidArgument: it is no digest.
            NotFound: there is no such blob.
        """
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            raise self._missing(digest) from None

    def open(self, digest: str) -> int:
        """A descriptor to read a blob from, at its beginning; the caller closes it.

        Raises:
            InvalidArgument: it is no digest.
            NotFound: there is no such blob.
        """
        try:
            return os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self._missing(digest) from None

    def read(self, digest: str, limit: int = SMALL) -> bytes:
        """All of a small blob: a manifest or a configuration. It was verified when it was written.

        Raises:
            InvalidArgument: it is no digest.
            NotFound: there is no such blob.
            OrlopError: it is larger than ``limit`` bytes.
        """
        descriptor = self.open(digest)
        try:
            size = os.fstat(descriptor).st_size
            if size > limit:
                raise OrlopError(
                    f"the blob {digest} is too large to be a document: {size} bytes, at most {limit} are read"
                )
            data = os.read(descriptor, size)
            while len(data) < size:
                more = os.read(descriptor, size - len(data))
                if not more:
                    raise OrlopError(f"the blob {digest} in {self.directory} became shorter while it was read")
                data += more
            return data
        finally:
            os.close(descriptor)

    def write(self, data: bytes, lease: Lease | None = None) -> str:
        """Store a small blob and return its sha256 digest. It may be there already; ``lease`` holds it before.

        Raises:
            InsufficientSpace: the disk is full.
            OSError: it cannot be written.
        """
        digest = digests.of(data)
        if lease is not None:
            lease.hold(digest)
        try:
            if os.stat(self.path(digest)).st_size == len(data):
                return digest
        except FileNotFoundError:
            pass
        with self.writer() as writer:
            writer.write(data)
            return writer.commit()[0]

    def writer(self) -> Writer:
        """Begin a blob whose digest is known only at its end; use it as a context manager.

        Raises:
            InsufficientSpace: the disk is full.
            OSError: no file can be made.
        """
        from orlop.storage.ingest import Writer

        return Writer(self)

    def ingest(self, digest: str, size: int = -1, *, waiting: Callable[[], None] | None = None) -> Ingest | None:
        """Begin to fetch a blob, or go on where an earlier fetch ended; None if the blob is there.

        Of all processes and threads one at a time fetches a blob. The others wait here until it has it, and get None,
        or until it gives up, and the next one goes on. So nobody may ask for a second blob while having a first one
        that another could be waiting for, nor for one blob twice. While another has it ``waiting`` is called again and
        again; what it raises ends the waiting.

        Raises:
            InvalidArgument: it is no digest.
            DigestMismatch: the blob is there, whole, and has another size.
            InsufficientSpace: the disk has no space for ``size`` bytes.
            OSError: no file can be made.
        """
        from orlop.storage.ingest import begin

        return begin(self, digest, size, waiting)

    def walk(self) -> Iterator[tuple[str, int]]:
        """Every blob's digest and size in bytes; blobs that come and go meanwhile may be missing."""
        for digest, status in self._scan():
            yield digest, status.st_size

    def usage(self) -> tuple[int, int]:
        """How many blobs there are, and how many bytes of the disk they, unfinished ones and the trash take."""
        count = total = 0
        for _, status in self._scan():
            count += 1
            total += status.st_blocks * 512
        for directory in (self.ingests, self.trash):
            total += sum(status.st_blocks * 512 for _, status in _entries(directory))
        return count, total

    def remove(self, digest: str) -> int:
        """Remove a blob now; returns how many bytes of the disk that frees, 0 if there is no such blob.

        Raises:
            InvalidArgument: it is no digest.
        """
        path = self.path(digest)
        try:
            freed = os.stat(path).st_blocks * 512
            os.unlink(path)
        except FileNotFoundError:
            return 0
        return freed

    def set_aside(self, digest: str) -> str:
        """Move a blob into the trash, which is quick however large it is; the file's path there, empty if it is gone.

        Raises:
            InvalidArgument: it is no digest.
            OSError: it cannot be moved.
        """
        path = self.path(digest)
        aside = f"{self.trash}/{os.path.basename(path)}-{os.urandom(8).hex()}"
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            if not os.path.exists(path):
                return ""
            os.makedirs(self.trash, _PRIVATE, exist_ok=True)
            return self.set_aside(digest)
        return aside

    def empty_trash(self) -> int:
        """Free the space of what was set aside, by this process or one that was killed; how many bytes that is."""
        freed = 0
        for name, status in _entries(self.trash):
            try:
                os.unlink(f"{self.trash}/{name}")
            except FileNotFoundError:
                continue  # another process was quicker
            freed += status.st_blocks * 512
        return freed

    def verify(self, digest: str) -> None:
        """Read a blob again and compare it with its digest.

        Raises:
            InvalidArgument: it is no digest.
            NotFound: there is no such blob.
            DigestMismatch: it is damaged.
        """
        from orlop.storage.ingest import verify

        descriptor = self.open(digest)
        try:
            verify(descriptor, digest, self.directory)
        finally:
            os.close(descriptor)

    def _scan(self) -> Iterator[tuple[str, os.stat_result]]:
        for algorithm in digests.ALGORITHMS:
            for name, status in _entries(f"{self.directory}/blobs/{algorithm}"):
                digest = f"{algorithm}:{name}"
                if digests.is_digest(digest):
                    yield digest, status

    def _missing(self, digest: str) -> NotFound:
        return NotFound(f"no blob {digest} in {self.directory}: pull or load again what it belongs to")


def _entries(directory: str) -> Iterator[tuple[str, os.stat_result]]:
    """The regular files of a directory, which may be missing or change meanwhile."""
    try:
        names = os.scandir(directory)
    except FileNotFoundError:
        return
    with names:
        for entry in names:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield entry.name, status
