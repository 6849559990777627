"""The files of an archive of images, from wherever they come, as blobs in the store.

A tar archive is read once, from its beginning to its end, since it may come through a pipe. Its larger files become blobs
at once, the small ones wait in memory until somebody asks for them. A directory's files become blobs when they are
asked for.

Nothing is written but blobs, whose names are digests: what an archive's entries are called is only looked up.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat

from orlop.errors import InvalidArchive, Unsupported
from orlop.storage import digest as digests
from orlop.storage.layers import compress, decompress, tar_reader
from orlop.storage.layers.limits import DEFAULT
from orlop.storage.layers.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.storage.blobs import Blobs
    from orlop.storage.leases import Lease

_CHUNK = 1 << 20
#: Files up to this size wait in memory, all of them together up to that one.
_SMALL = 64 << 10
_MEMORY = 16 << 20
_MOST_FILES = 100_000
_MOST_LINKS = 20

_OTHERS = ((b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2"))


class _File:
    """One file: in memory, or a blob with its size and its first bytes."""

    __slots__ = ("data", "digest", "head", "size")

    def __init__(self, *, data: bytes | None = None, digest: str = "", size: int = 0, head: bytes = b"") -> None:
        self.data = data
        self.digest = digest
        self.size = size
        self.head = head


class Contents:
    """An archive's files by their names. ``name`` is what errors call the archive."""

    __slots__ = ("_blobs", "_files", "_lease", "_links", "name", "stored")

    def __init__(self, blobs: Blobs, lease: Lease, name: str) -> None:
        self._blobs = blobs
        self._lease = lease
        self._files: dict[str, _File] = {}
        #: Digests of what was stored.
        self.stored: set[str] = set()
        self._links: dict[str, str] = {}
        self.name = name

    def read(self, name: str, limit: int) -> bytes | None:
        """A small file's content; None if there is no such file.

        Raises:
            InvalidArchive: it is larger than ``limit``.
        """
        file = self._find(name)
        if file is None:
            return None
        size = len(file.data) if file.data is not None else file.size
        if size > limit:
            raise InvalidArchive(f"{name} in {self.name} has {size} bytes, more than the {limit} that it may have")
        return file.data if file.data is not None else self._blobs.read(file.digest, limit)

    def digest_of(self, name: str) -> str | None:
        """The digest of a file, which is a blob from then on; None if there is no such file."""
        file = self._find(name)
        return None if file is None else self._stored(file).digest

    def compression_of(self, name: str) -> str:
        """How a file that is there is compressed: ``gzip``, ``zstd``, or empty for not at all.

        Raises:
            Unsupported: it is compressed with something else.
        """
        file = self._find(name)
        found = decompress.detect(file.head if file.data is None else file.data[: decompress.HEAD]) if file else ""
        return compress.NONE if found == decompress.NONE else found

    def blob(self, digest: str, limit: int) -> bytes | None:
        """A small blob of an OCI layout; None if it is neither in the archive nor in the store.

        Raises:
            InvalidArchive: it is larger than ``limit``, or is not what its digest says.
        """
        size = self.blob_size(digest)
        if size is None:
            return None
        if size > limit:
            raise InvalidArchive(f"{self.name} has a manifest {digest} of {size} bytes, more than {limit}")
        return self._blobs.read(digest, limit)

    def blob_size(self, digest: str) -> int | None:
        """The size of a blob of an OCI layout, or of any that the store has; None if it is in neither.

        Raises:
            InvalidArchive: it is not what its digest says.
        """
        algorithm, _, encoded = digest.partition(":")
        file = self._find(f"blobs/{algorithm}/{encoded}")
        if file is not None:
            found = self._stored(file)
            if found.digest != digest:
                self._compare(digest, found)
            return found.size
        self._lease.hold(digest)
        return self._blobs.size(digest) if self._blobs.has(digest) else None

    def _compare(self, digest: str, file: _File) -> None:
        """See whether a file is what a digest of another algorithm says, and store it under that too."""
        if digest.partition(":")[0] != file.digest.partition(":")[0]:
            self._lease.hold(digest)
            ingest = self._blobs.ingest(digest, file.size)
            if ingest is None:
                return
            with ingest:
                ingest.restart()
                source = self._blobs.open(file.digest)
                try:
                    while data := os.read(source, _CHUNK):
                        ingest.write(data)
                finally:
                    os.close(source)
                ingest.commit()
            return
        raise InvalidArchive(f"{self.name} is damaged: its blob {digest} has the digest {file.digest}")

    def _find(self, name: str) -> _File | None:
        path = normal(name)
        for _ in range(_MOST_LINKS):
            if path not in self._links:
                break
            path = self._links[path]
        return self._files.get(path)

    def _stored(self, file: _File) -> _File:
        if file.data is not None:
            file.digest = digests.of(file.data)
            self._lease.hold(file.digest)
            self._blobs.write(file.data)
            self.stored.add(file.digest)
            file.size = len(file.data)
            file.head = file.data[: decompress.HEAD]
            file.data = None
        return file

    def add(self, name: str, file: _File) -> None:
        """Note a file; one that comes twice counts the last time, as for tar.

        Raises:
            InvalidArchive: there are too many.
        """
        if len(self._files) + len(self._links) >= _MOST_FILES:
            raise InvalidArchive(f"{self.name} has more than {_MOST_FILES} files: it is no archive of images")
        self._links.pop(name, None)
        self._files[name] = file
        if file.digest:
            self.stored.add(file.digest)

    def link(self, name: str, target: str) -> None:
        """Note that a name stands for another one.

        Raises:
            InvalidArchive: there are too many.
        """
        self.add(name, _File())
        del self._files[name]
        self._links[name] = target


class _Directory(Contents):
    """The files of a directory, read when they are asked for."""

    __slots__ = ("_directory",)

    def __init__(self, blobs: Blobs, lease: Lease, directory: str) -> None:
        super().__init__(blobs, lease, directory)
        self._directory = directory

    def _find(self, name: str) -> _File | None:
        from orlop.linux import path

        found = super()._find(name)
        if found is not None:
            return found
        if not normal(name) or "\0" in name:
            return None
        root = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            place = path.open_in_root(root, normal(name))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
                raise
            return None
        finally:
            os.close(root)
        try:
            mode = os.fstat(place).st_mode
            if stat.S_ISDIR(mode):
                return None
            if not stat.S_ISREG(mode):
                raise InvalidArchive(f"{name} in {self.name} is not a regular file")
            # Opened only now, since opening a device or a pipe does something, or waits.
            source = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(place)
        try:
            with self._blobs.writer() as writer:
                head = b""
                while data := os.read(source, _CHUNK):
                    head = head or data[: decompress.HEAD]
                    writer.write(data)
                digest, size = writer.commit(self._lease)
        finally:
            os.close(source)
        file = _File(digest=digest, size=size, head=head)
        self.add(normal(name), file)
        return file


def normal(name: str) -> str:
    """A name without ``./``, slashes at its ends, and detours."""
    return posixpath.normpath("/" + name).lstrip("/")


def of_directory(blobs: Blobs, lease: Lease, directory: str) -> Contents:
    """The files of a directory."""
    return _Directory(blobs, lease, directory)


def of_stream(blobs: Blobs, lease: Lease, source: int, name: str) -> Contents:
    """The files of a tar archive that is read from a descriptor: plain, or compressed with gzip, zstd, xz or bzip2.

    Raises:
        InvalidArchive: it is no tar archive, damaged, or not complete.
        Unsupported: it is compressed with something else.
        OSError: it cannot be read, or the store not written.
    """
    head = decompress.read_head(source)
    if not head:
        raise InvalidArchive(f"{name} is empty: it is no archive of images")
    found = Contents(blobs, lease, name)
    pieces = decompress.chunks(head, source, codec(head, name), DEFAULT, _free(blobs))
    stream = Stream(pieces, None)
    try:
        _read(found, blobs, lease, stream)
        stream.drain()  # a checksum comes last, and whoever writes into a pipe wants to get rid of all of it
    except BaseException as error:
        stream.close(wait=False)  # it may be waiting for more, from a pipe to which nobody writes
        if isinstance(error, InvalidArchive):
            raise about(error, name) from None
        raise
    stream.close()
    return found


def about(error: InvalidArchive, name: str) -> InvalidArchive:
    """The same error of an archive that is no layer."""
    return InvalidArchive(str(error).replace("the layer", name, 1))


def codec(head: bytes, name: str) -> decompress.Codec | None:
    """How to read data that begins like this: as layers, and also xz and bzip2, which file systems' archives often are.

    ``name`` is what errors call the archive.

    Raises:
        Unsupported: it is compressed with something else.
    """
    for magic, kind in _OTHERS:
        if head.startswith(magic):
            if kind == "xz":
                import lzma

                return decompress.Codec(kind, lzma.LZMADecompressor, lzma.LZMAError)
            import bz2

            return decompress.Codec(kind, bz2.BZ2Decompressor, OSError)
    try:
        return decompress.codec(decompress.detect(head))
    except Unsupported as error:
        reason = str(error).replace("the layer", name, 1).replace("use gzip or zstd", "use gzip, zstd, xz or bzip2")
        raise Unsupported(reason) from None


def _free(blobs: Blobs) -> int:
    system = os.statvfs(blobs.directory)
    return system.f_bavail * system.f_frsize


def _read(found: Contents, blobs: Blobs, lease: Lease, stream: Stream) -> None:
    reader = tar_reader.TarReader(stream)
    memory = 0
    while (entry := reader.next()) is not None:
        name = normal(os.fsdecode(entry.name))
        if entry.kind == tar_reader.FILE:
            if entry.size <= _SMALL and memory < _MEMORY:
                found.add(name, _File(data=b"".join(reader.views())))
                memory += entry.size
                continue
            head = b""
            with blobs.writer() as writer:
                for piece in reader.views():
                    if len(head) < decompress.HEAD:
                        head += bytes(piece[: decompress.HEAD - len(head)])
                    writer.write(piece)
                digest, size = writer.commit(lease)
            found.add(name, _File(digest=digest, size=size, head=head))
        elif entry.kind == tar_reader.HARD_LINK:
            found.link(name, normal(os.fsdecode(entry.link)))
        elif entry.kind == tar_reader.SYMBOLIC_LINK:
            found.link(name, normal(posixpath.join(posixpath.dirname(name), os.fsdecode(entry.link))))
