"""Making a layer: what differs between a snapshot and its parent becomes a tar archive (OCI image-spec, layer.md).

The same trees give the same archive, byte for byte: entries come in the order of `orlop.storage.layers.changes`, with
the metadata that belongs to the files and nothing else. Of a file with several names the first is the file and the
others are hard links to it. A removed entry is an empty file ``.wh.NAME``, an emptied directory has ``.wh..wh..opq`` as
its first entry. Sockets are left out, and holes of sparse files are written as zeros, since not all readers know better.
"""

from __future__ import annotations

import os
import stat

from orlop.errors import OrlopError, Unsupported
from orlop.storage import digest as digests
from orlop.storage import mounts
from orlop.storage.layers import attributes, tar_writer
from orlop.storage.layers.changes import GONE, WHITEOUT, Source, walk
from orlop.storage.layers.comparison import open_file, reachable, read_link
from orlop.storage.layers.compress import GZIP, compressor
from orlop.storage.layers.hard_links import inode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.storage.blobs import Blobs
    from orlop.storage.layers.changes import Change
    from orlop.storage.layers.hard_links import Inode
    from orlop.storage.layers.tar_writer import Sink, TarWriter
    from orlop.storage.leases import Lease
    from orlop.storage.snapshots.interface import DiffBase

_OPAQUE = b".wh..wh..opq"
_SECOND = 1_000_000_000
_BTRFS_SUPER_MAGIC = 0x9123683E

_KINDS = {
    stat.S_IFREG: tar_writer.FILE,
    stat.S_IFLNK: tar_writer.SYMBOLIC_LINK,
    stat.S_IFCHR: tar_writer.CHARACTER_DEVICE,
    stat.S_IFBLK: tar_writer.BLOCK_DEVICE,
    stat.S_IFDIR: tar_writer.DIRECTORY,
    stat.S_IFIFO: tar_writer.FIFO,
}


class Layer:
    """A layer that was made and stored."""

    __slots__ = ("diff_id", "digest", "size", "uncompressed_size")

    def __init__(self, digest: str, size: int, diff_id: str, uncompressed_size: int) -> None:
        #: The blob's digest, and its size in bytes.
        self.digest = digest
        self.size = size
        #: The digest of the archive before it was compressed, and its size in bytes.
        self.diff_id = diff_id
        self.uncompressed_size = uncompressed_size


def create(
    base: DiffBase,
    blobs: Blobs,
    compression: str = GZIP,
    *,
    clamp: int | None = None,
    lease: Lease | None = None,
    places: list[tuple[bytes, int]] | None = None,
) -> Layer:
    """Store what differs between a snapshot and its parent as a blob.

    ``compression`` is one that `orlop.storage.layers.compress` knows. No time in the archive is later than ``clamp``,
    in seconds since the epoch (SOURCE_DATE_EPOCH). ``lease`` holds the blob before it is published. ``places`` is for where
    in the archive, not compressed, what is told of a path begins.

    Nobody should write to the snapshot meanwhile. If somebody does, the archive is well-formed and has each file in some
    state between then and now.

    Raises:
        InvalidArgument: the compression is not known.
        Unsupported: a name or an attribute has no place in a layer, or a package is not installed.
        OrlopError: something cannot be read, or there is no space left.
        OSError: the trees cannot be opened, or the blob cannot be written.
    """
    with blobs.writer() as blob, compressor(compression, blob) as output, opened(base) as source:
        content = _Identified(output)
        archive = tar_writer.TarWriter(content)
        write(walk(source), archive, clamp=clamp, places=places)
        archive.finish()
        output.finish()
        digest, size = blob.commit(lease)
    return Layer(digest, size, digests.result(content.state), archive.written)


def export(directory: int, descriptor: int) -> None:
    """Write a whole tree, of which ``directory`` is open, as a plain archive to a file, a pipe or a socket.

    Raises:
        OrlopError: something cannot be read.
        Unsupported: an attribute has no place in an archive.
        OSError: the descriptor cannot be written to.
    """
    archive = tar_writer.TarWriter(tar_writer.Descriptor(descriptor))
    write(walk(Source(directory)), archive, is_layer=False)
    archive.finish()


class opened:  # noqa: N801 - used like a function, as contextlib's are
    """``with opened(base) as source:`` has what a diff looks at, mounted where nobody else sees it.

    Raises:
        OSError: it cannot be opened or mounted.
    """

    __slots__ = ("_base", "_mounted", "_upper")

    def __init__(self, base: DiffBase) -> None:
        self._base = base
        self._mounted: list[mounts.attached] = []
        self._upper = -1

    def __enter__(self) -> Source:
        base = self._base
        try:
            parent = self._mount(mounts.attached(base.parent_mounts)) if base.parent_mounts else -1
            if base.upper is None:
                directory = self._mount(mounts.attached(base.mounts))
                return Source(directory, parent, snapshot=parent >= 0 and _is_btrfs(directory) and _is_btrfs(parent))
            self._upper = os.open(base.upper, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            return Source(self._upper, parent, marks="user.overlay." if base.rootless else "trusted.overlay.")
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_exception: object) -> None:
        if self._upper >= 0:
            os.close(self._upper)
            self._upper = -1
        while self._mounted:
            self._mounted.pop().__exit__()

    def _mount(self, mounted: mounts.attached) -> int:
        directory = mounted.__enter__()
        self._mounted.append(mounted)
        return directory


def _is_btrfs(descriptor: int) -> bool:
    from orlop.linux.mount import statfs_type

    return statfs_type(descriptor) == _BTRFS_SUPER_MAGIC


class _Identified:
    """A sink that takes the digest of what passes through."""

    __slots__ = ("_sink", "state")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.state = digests.hasher()

    def write(self, data: bytes | memoryview) -> None:
        self.state.update(data)
        self._sink.write(data)


def write(
    changes: Iterable[Change],
    archive: TarWriter,
    *,
    clamp: int | None = None,
    is_layer: bool = True,
    places: list[tuple[bytes, int]] | None = None,
) -> None:
    """Add an entry to an archive for each change. In what `is_layer`, names that begin with ``.wh.`` mean removal.

    ``places`` is for where in the archive what is told of a path begins.

    Raises:
        Unsupported: a name or an attribute has no place in the archive.
        OrlopError: something cannot be read.
        OSError: what the archive's sink raises.
    """
    limit = None if clamp is None else clamp * _SECOND
    names: dict[Inode, bytes] = {}
    for change in changes:
        if is_layer and change.name.startswith(WHITEOUT):
            raise Unsupported(
                f"/{os.fsdecode(change.path)} cannot be in a layer, where names that begin with"
                f" {WHITEOUT.decode()} say what was removed: rename it"
            )
        if places is not None:
            places.append((change.path, archive.position))
        if change.about is None:
            _add_whiteout(archive, change.path[: -len(change.name)] + WHITEOUT + change.name)
            continue
        file = -1
        try:
            try:
                if stat.S_ISREG(change.about.st_mode):
                    file = open_file(change.holder, change.name)
                entry = _entry(change, change.about, change.descriptor if file < 0 else file, names)
            except OSError as error:
                if error.errno in GONE:
                    continue
                raise OrlopError(f"/{os.fsdecode(change.path)} cannot be read: {error.strerror}") from error
            if limit is not None and entry.mtime > limit:
                entry.mtime = limit
            if entry.kind == tar_writer.FILE:
                archive.add_from(entry, file, may_change=True)
            else:
                archive.add(entry)
        finally:
            if file >= 0:
                os.close(file)
        if change.emptied:
            _add_whiteout(archive, change.path + b"/" + _OPAQUE if change.path else _OPAQUE)


def _add_whiteout(archive: TarWriter, path: bytes) -> None:
    archive.add(tar_writer.Entry(path, tar_writer.FILE, mode=0))


def _entry(change: Change, about: os.stat_result, descriptor: int, names: dict[Inode, bytes]) -> tar_writer.Entry:
    """The entry of a change; ``descriptor`` is a file's or a directory's, ``names`` the first names of linked files."""
    link, device = b"", 0
    found: dict[bytes, bytes] = {}
    if descriptor >= 0:
        about = os.fstat(descriptor)
        found = attributes.read(descriptor)
    elif stat.S_ISLNK(about.st_mode):
        # No attributes of symbolic links belong into a layer: the kernel does not let them have any (xattr(7)).
        link = read_link(change.holder, change.name)
    else:
        found = attributes.read(reachable(change.holder, change.name))
        if not stat.S_ISFIFO(about.st_mode):
            device = about.st_rdev
    kind = _KINDS[stat.S_IFMT(about.st_mode)]
    size = about.st_size if kind == tar_writer.FILE else 0
    if about.st_nlink > 1 and kind != tar_writer.DIRECTORY:
        first = names.setdefault(inode(about), change.path)
        if first is not change.path:
            # All metadata is repeated: whoever gives a link its owner takes the capabilities from the file.
            kind, link, size = tar_writer.HARD_LINK, first, 0
    return tar_writer.Entry(
        change.path,
        kind,
        mode=about.st_mode,
        uid=about.st_uid,
        gid=about.st_gid,
        mtime=about.st_mtime_ns,
        size=size,
        link=link,
        device=device,
        attributes=found,
    )
