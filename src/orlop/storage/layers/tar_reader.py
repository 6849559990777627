"""Reading tar archives, every form that tools write or wrote: old (v7), ustar, pax, GNU, star's.

Names are bytes, and nothing is made of them here: what a name may be is for whoever acts on it (`unpack`). What Go's
archive/tar and GNU tar agree about is read as they do; what they read differently is refused.
"""

from __future__ import annotations

import os

from orlop.errors import InvalidArchive
from orlop.storage.layers import pax, sparse
from orlop.storage.layers.limits import LARGEST_HEADER
from orlop.storage.layers.tar_number import checksum_matches, decimal, nanoseconds, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.storage.layers.stream import Stream

FILE = 0x30
HARD_LINK = 0x31
SYMBOLIC_LINK = 0x32
CHARACTER_DEVICE = 0x33
BLOCK_DEVICE = 0x34
DIRECTORY = 0x35
FIFO = 0x36

_OLD_FILE = 0x00
_CONTIGUOUS = 0x37
_EXTENDED = (0x78, 0x58)  # x, and Solaris's X
_GLOBAL = 0x67  # g
_GNU_LONG_NAME = 0x4C  # L
_GNU_LONG_LINK = 0x4B  # K
_GNU_SPARSE = 0x53  # S
_GNU_DIRECTORY = 0x44  # D, with a list of what was in it as its data
_GNU_VOLUME_NAME = 0x56  # V

_KINDS = frozenset((FILE, HARD_LINK, SYMBOLIC_LINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO))
_WITHOUT_DATA = frozenset((HARD_LINK, SYMBOLIC_LINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO))

_ZERO = bytes(512)
_SECOND = 1_000_000_000
_NO_RECORDS: dict[bytes, bytes] = {}
#: Different modes and owners that are remembered.
_MOST_KNOWN = 4096


class Entry:
    """What an archive says about one file. Its data is read with `TarReader.copy` before the next entry."""

    __slots__ = (
        "atime",
        "gid",
        "kind",
        "link",
        "major",
        "minor",
        "mode",
        "mtime",
        "name",
        "pieces",
        "records",
        "size",
        "uid",
    )

    def __init__(
        self, name: bytes, kind: int, mode: int, uid: int, gid: int, size: int, mtime: int, records: dict[bytes, bytes]
    ) -> None:
        self.name = name
        #: One of this module's constants.
        self.kind = kind
        #: Permission bits, with setuid, setgid and sticky.
        self.mode = mode
        self.uid = uid
        self.gid = gid
        #: The file's size in bytes, holes included.
        self.size = size
        #: Nanoseconds since the epoch.
        self.mtime = mtime
        #: The same, or None if the archive does not say.
        self.atime: int | None = None
        #: The target of a symbolic or the other name of a hard link.
        self.link = b""
        self.major = 0
        self.minor = 0
        #: The extended header's records, the global ones included.
        self.records = records
        #: Where the data of a sparse file belongs: offset and length, alternately; None for any other file.
        self.pieces: sparse.Pieces | None = None


class TarReader:
    """The entries of an archive, one after the other."""

    __slots__ = ("_global", "_known", "_left", "_padding", "_stream", "ended")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._global: dict[bytes, bytes] = _NO_RECORDS
        #: Bytes of the present entry's data that were not read, and what fills its last block.
        self._left = 0
        self._padding = 0
        self._known: dict[bytes, tuple[int, int, int]] = {}
        #: Whether the archive's end mark was read: without, nothing says that it is complete.
        self.ended = False

    def next(self) -> Entry | None:
        """The next entry; None at the end.

        Raises:
            InvalidArchive: the archive is damaged, ends early, or has something that is not known.
        """
        stream = self._stream
        if self._left:
            stream.skip(self._left)
            self._left = 0
        if self._padding:
            padding, self._padding = self._padding, 0
            if not stream.skip_if_there(padding):
                return None  # umoci ends archives right after the last file's data, which Go's reader takes
        records = self._global
        long_name = long_link = None
        extended = False
        while True:
            header = stream.block()
            if not header or header == _ZERO:
                if extended or long_name is not None or long_link is not None:
                    raise self._invalid("the layer is truncated: its archive ends after an extended header")
                self._end(header)
                return None
            if not checksum_matches(header):
                raise self._invalid("the layer is not a tar archive or is damaged: the checksum of a header is wrong")
            kind = header[156]
            try:
                if kind == FILE or kind in _KINDS or kind in {_OLD_FILE, _CONTIGUOUS, _GNU_SPARSE, _GNU_DIRECTORY}:
                    return self._entry(header, kind, records, long_name, long_link)
                size = number(header[124:136])
                if kind in _EXTENDED:
                    if not extended:
                        records = dict(self._global)
                        extended = True
                    pax.parse(self._header_data(size), records)
                elif kind == _GLOBAL:
                    shared = dict(self._global)
                    pax.parse(self._header_data(size), shared)
                    self._global = shared
                    if not extended:
                        records = shared
                elif kind == _GNU_LONG_NAME:
                    long_name = self._header_data(size).partition(b"\0")[0]
                elif kind == _GNU_LONG_LINK:
                    long_link = self._header_data(size).partition(b"\0")[0]
                elif kind == _GNU_VOLUME_NAME:
                    stream.skip(size + (-size & 511))
                else:
                    raise self._invalid(f"the layer has an entry of the unknown kind {chr(kind)!r}")
            except ValueError as error:
                raise self._invalid(f"the layer has a malformed header: {error}") from None

    def copy(self, descriptor: int) -> None:
        """Write the present entry's data to an empty file, as it is in the archive.

        Raises:
            InvalidArchive: the archive ends early or is damaged.
            OSError: it cannot be written.
        """
        self._stream.copy(descriptor, self._left)
        self._left = 0

    def views(self) -> Iterator[memoryview]:
        """The present entry's data, as it is in the archive, in parts that are valid until the next is asked for.

        Raises:
            InvalidArchive: the archive ends early or is damaged.
        """
        while self._left:
            view = self._stream.view(self._left)
            self._left -= len(view)
            yield view

    def copy_pieces(self, descriptor: int, pieces: sparse.Pieces, size: int) -> None:
        """Write the present entry's data, a sparse file's, to where it belongs, with holes between.

        Raises:
            InvalidArchive: the archive ends early or is damaged.
            OSError: it cannot be written.
        """
        for at in range(0, len(pieces), 2):
            if pieces[at + 1]:
                os.lseek(descriptor, pieces[at], os.SEEK_SET)
                self._stream.copy(descriptor, pieces[at + 1])
                self._left -= pieces[at + 1]
        os.ftruncate(descriptor, size)

    def _entry(
        self,
        header: bytes,
        kind: int,
        records: dict[bytes, bytes],
        long_name: bytes | None,
        long_link: bytes | None,
    ) -> Entry:
        magic = header[257:263]
        name = header[:100].partition(b"\0")[0]
        if magic == b"ustar\0" and header[345]:
            # star's own header has the times where the last bytes of the prefix are.
            limit = 476 if header[508:512] == b"tar\0" else 500
            name = header[345:limit].partition(b"\0")[0] + b"/" + name
        if long_name is not None:
            name = long_name
        ids = header[100:124]
        known = self._known.get(ids)
        if known is None:
            known = (number(ids[:8]) & 0o7777, number(ids[8:16]), number(ids[16:]))
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[ids] = known
        size = number(header[124:136])
        entry = Entry(name, kind, *known, size, number(header[136:148]) * _SECOND, records)
        if header[157]:
            entry.link = header[157:257].partition(b"\0")[0]
        if long_link is not None:
            entry.link = long_link
        if records:
            self._apply_records(entry, records)
            size = entry.size
        if size < 0 or entry.uid < 0 or entry.gid < 0:
            raise ValueError("a negative number")
        if kind == FILE and not entry.name.endswith(b"/"):
            self._left = size
            self._padding = -size & 511
            if b"GNU.sparse.major" in records or b"GNU.sparse.map" in records:
                self._sparse(entry)
        else:
            self._other_kind(entry, header)
        return entry

    def _other_kind(self, entry: Entry, header: bytes) -> None:
        """What is not a file with data, or does not say so in the usual way."""
        kind = entry.kind
        if kind in {_OLD_FILE, FILE, _CONTIGUOUS}:
            # Before there was a kind for directories, their names ended in a slash.
            entry.kind = kind = DIRECTORY if entry.name.endswith(b"/") else FILE
            if kind == DIRECTORY and entry.size:
                raise ValueError("a directory with data")  # which readers disagree about
        elif kind == _GNU_DIRECTORY:
            self._left = entry.size
            self._padding = -entry.size & 511
            entry.kind = DIRECTORY
            entry.size = 0
            return
        if kind in _WITHOUT_DATA:
            # Some programs write the size of the file that a link is to; nothing follows, whatever is said here.
            entry.size = 0
            if kind in {CHARACTER_DEVICE, BLOCK_DEVICE}:
                entry.major = number(header[329:337])
                entry.minor = number(header[337:345])
                if b"SCHILY.devmajor" in entry.records:
                    entry.major = decimal(entry.records[b"SCHILY.devmajor"])
                if b"SCHILY.devminor" in entry.records:
                    entry.minor = decimal(entry.records[b"SCHILY.devminor"])
            return
        self._left = entry.size
        self._padding = -entry.size & 511
        if kind == _GNU_SPARSE:
            if header[257:263] != b"ustar ":
                raise ValueError("a sparse file in an unknown form")
            entry.kind = FILE
            entry.pieces, entry.size = sparse.old_gnu(header, self._stream, entry.size)

    def _apply_records(self, entry: Entry, records: dict[bytes, bytes]) -> None:
        for key, value in records.items():
            if key == b"path":
                entry.name = value
            elif key == b"linkpath":
                entry.link = value
            elif key == b"size":
                entry.size = decimal(value)
            elif key == b"mtime":
                entry.mtime = nanoseconds(value)
            elif key == b"atime":
                entry.atime = nanoseconds(value)
            elif key == b"uid":
                entry.uid = decimal(value)
            elif key == b"gid":
                entry.gid = decimal(value)
            elif key == b"GNU.sparse.name":
                continue  # below: it counts more than `path`, which GNU tar fills with a name for other readers
        if b"GNU.sparse.name" in records:
            entry.name = records[b"GNU.sparse.name"]

    def _sparse(self, entry: Entry) -> None:
        """A sparse file in one of the forms that GNU tar uses with extended headers (its manual, "Storing Sparse Files")."""
        records = entry.records
        major = records.get(b"GNU.sparse.major", b"0")
        minor = records.get(b"GNU.sparse.minor", b"")
        stated = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size")
        if stated is None:
            raise ValueError("a sparse file without its size")
        size = decimal(stated)
        if major == b"1" and minor == b"0":
            used, pieces = sparse.version_1(self._stream, self._left)
            self._left -= used
        elif major == b"0" and b"GNU.sparse.map" in records:
            pieces = sparse.from_text(records[b"GNU.sparse.map"])
        else:
            raise ValueError("a sparse file in an unknown form")
        sparse.check(pieces, size, self._left)
        entry.pieces = pieces
        entry.size = size

    def _header_data(self, size: int) -> bytes:
        if not 0 <= size <= LARGEST_HEADER:
            raise ValueError(f"an extended header or a long name of {size} bytes")
        data = self._stream.read(size)
        self._stream.skip(-size & 511)
        return data

    def _end(self, header: bytes) -> None:
        """Read the end mark, two blocks of zeros. Some programs leave it out, or write half of it."""
        if header:
            second = self._stream.block()
            if second and second != _ZERO:
                raise self._invalid("the layer's archive has a block of zeros among its entries")
            self.ended = bool(second)

    def _invalid(self, message: str) -> InvalidArchive:
        return InvalidArchive(f"{message} (before byte {self._stream.position})")
