"""Writing tar archives: POSIX.1-2017 `pax` interchange format, the same bytes for the same entries.

Nothing but the entries decides about the output: user and group names, access and change times, and padding after the
end mark are left out, and a PAX record is written only for what a plain ``ustar`` header cannot hold. Names are bytes
as the file system has them. Extended attributes are ``SCHILY.xattr.*`` records, as all OCI tools read and write them.

::

    archive = TarWriter(sink)
    archive.add(Entry(b"manifest.json", FILE, mode=0o644), data)
    archive.add_from(Entry(b"layer.tar", FILE, mode=0o644, size=size), descriptor)
    archive.finish()
"""

from __future__ import annotations

import errno
import os
import select

from orlop.errors import OrlopError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Sink(Protocol):
        """Where an archive goes to; ``data`` is the sink's only until ``write`` returns."""

        def write(self, data: bytes | memoryview, /) -> object:
            """Take all of ``data``."""


FILE = b"0"
HARD_LINK = b"1"
SYMBOLIC_LINK = b"2"
CHARACTER_DEVICE = b"3"
BLOCK_DEVICE = b"4"
DIRECTORY = b"5"
FIFO = b"6"

_BLOCK = 512
_BUFFER = 1 << 20
#: From this size on a file goes from descriptor to descriptor inside the kernel, if both are given.
_SENDFILE_FROM = 256 << 10
_SEND_AT_MOST = 1 << 30

_LARGEST_ID = 0o7777777
_LARGEST_NUMBER = 0o77777777777
_SECOND = 1_000_000_000
#: What stands in an old header for a byte that is not ASCII; readers take the PAX record's name.
_TO_ASCII = bytes(range(128)) + b"_" * 128
_NO_ATTRIBUTES: dict[bytes, bytes] = {}
_PAX_HEADER_NAME = b"././@PaxHeader"


class Entry:
    """One entry of an archive, without its content."""

    __slots__ = ("attributes", "device", "gid", "kind", "link", "mode", "mtime", "path", "size", "uid")

    def __init__(
        self,
        path: bytes,
        kind: bytes,
        *,
        mode: int,
        uid: int = 0,
        gid: int = 0,
        mtime: int = 0,
        size: int = 0,
        link: bytes = b"",
        device: int = 0,
        attributes: Mapping[bytes, bytes] = _NO_ATTRIBUTES,
    ) -> None:
        #: Relative to the archive's root, without ``./`` and a slash at the end; the root itself is empty.
        self.path = path
        #: One of this module's constants, the header's ``typeflag``.
        self.kind = kind
        #: Permission bits, with setuid, setgid and sticky.
        self.mode = mode
        self.uid = uid
        self.gid = gid
        #: Nanoseconds since the epoch, may be negative.
        self.mtime = mtime
        #: Of a file's content, in bytes.
        self.size = size
        #: Where a symbolic link points to, or the path of the entry that a hard link is another name of.
        self.link = link
        #: ``st_rdev`` of a device.
        self.device = device
        #: Extended attributes by name.
        self.attributes = attributes


def header(entry: Entry) -> bytes:
    """The block or blocks that come before an entry's content.

    Raises:
        Unsupported: an extended attribute's name cannot be written.
    """
    records: list[tuple[bytes, bytes]] = []
    name = entry.path or b"."
    if entry.kind == DIRECTORY:
        name += b"/"
    prefix, short = _split(name)
    if short is None:
        records.append((b"path", name))
        short = name.translate(_TO_ASCII)[:100]
    link = entry.link
    if len(link) > 100 or not link.isascii():
        records.append((b"linkpath", link))
        link = link.translate(_TO_ASCII)[:100]
    uid, gid, size = entry.uid, entry.gid, entry.size
    if uid > _LARGEST_ID:
        records.append((b"uid", b"%d" % uid))
        uid = 0
    if gid > _LARGEST_ID:
        records.append((b"gid", b"%d" % gid))
        gid = 0
    if size > _LARGEST_NUMBER:
        records.append((b"size", b"%d" % size))
        size = 0
    seconds, fraction = divmod(entry.mtime, _SECOND)
    if fraction or not 0 <= seconds <= _LARGEST_NUMBER:
        records.append((b"mtime", _decimal(entry.mtime)))
        if not 0 <= seconds <= _LARGEST_NUMBER:
            seconds = 0
    for key, value in entry.attributes.items():
        if b"=" in key:
            raise Unsupported(
                f"the extended attribute {os.fsdecode(key)} of /{os.fsdecode(entry.path)} cannot be written to an archive,"
                f" whose format ends names at '=': remove it with setfattr -x"
            )
        records.append((b"SCHILY.xattr." + key, value))
    device = entry.device
    block = _block(
        short,
        entry.mode & 0o7777,
        uid,
        gid,
        size,
        seconds,
        entry.kind,
        link,
        os.major(device) if device else 0,
        os.minor(device) if device else 0,
        prefix,
    )
    if not records:
        return block
    return _extended(records) + block


def _split(name: bytes) -> tuple[bytes, bytes | None]:
    """A name as ``ustar`` prefix and name, or without the latter if it needs a record of its own."""
    length = len(name)
    if not name.isascii():
        return b"", None
    if length <= 100:
        return b"", name
    # The slash between the two is not stored. The one at a directory's end must stay in the name.
    slash = name.rfind(b"/", 0, min(156, length - 1))
    if length - slash - 1 > 100 or slash <= 0:
        return b"", None
    return name[:slash], name[slash + 1 :]


def _decimal(nanoseconds: int) -> bytes:
    sign = b"-" if nanoseconds < 0 else b""
    seconds, fraction = divmod(abs(nanoseconds), _SECOND)
    if not fraction:
        return b"%s%d" % (sign, seconds)
    return (b"%s%d.%09d" % (sign, seconds, fraction)).rstrip(b"0")


def _extended(records: list[tuple[bytes, bytes]]) -> bytes:
    """A PAX extended header with some records, in the order of their keys' bytes."""
    records.sort()
    if not all(_is_text(value) for key, value in records if key in {b"path", b"linkpath"}):
        # Without it the names would have to be UTF-8. It comes first since it counts for what follows it.
        records.insert(0, (b"hdrcharset", b"BINARY"))
    data = b"".join(_record(key, value) for key, value in records)
    block = _block(_PAX_HEADER_NAME, 0, 0, 0, len(data), 0, b"x", b"", 0, 0, b"")
    return block + data + bytes(-len(data) % _BLOCK)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH KEY=VALUE`` and a newline, where the length counts itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) + rest != length:
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def _block(
    name: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    seconds: int,
    kind: bytes,
    link: bytes,
    major: int,
    minor: int,
    prefix: bytes,
) -> bytes:
    start = name.ljust(100, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, uid, gid, size, seconds)
    end = b"%s%sustar\x0000%s%07o\0%07o\0%s" % (
        kind,
        link.ljust(100, b"\0"),
        bytes(64),  # names of the owner and the group
        major,
        minor,
        prefix.ljust(167, b"\0"),
    )
    return b"%s%06o\0 %s" % (start, sum(start) + sum(end) + 8 * 0x20, end)


class Descriptor:
    """A sink that is a file, a pipe or a socket; large files are copied to it inside the kernel."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def write(self, data: bytes | memoryview) -> None:
        """Write all of ``data``, waiting as long as it takes.

        Raises:
            OSError: as write(2), with BrokenPipeError if nobody reads.
        """
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self.descriptor, left) :]
            except BlockingIOError:
                self._wait()

    def copy(self, source: int, size: int) -> int:
        """Copy up to ``size`` bytes from where ``source`` stands; returns how many there were.

        Raises:
            OSError: as sendfile(2); EINVAL or ENOSYS before anything was copied if it does not work between the two.
        """
        copied = 0
        while copied < size:
            try:
                count = os.sendfile(self.descriptor, source, None, min(size - copied, _SEND_AT_MOST))
            except BlockingIOError:
                self._wait()
                continue
            if not count:
                break
            copied += count
        return copied

    def _wait(self) -> None:
        """The descriptor was made non-blocking by whoever gave it to us."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLOUT)
        poll.poll()


class TarWriter:
    """Writes entries to a sink, in the order in which they are added, a megabyte at a time."""

    __slots__ = ("_buffer", "_filled", "_sink", "written")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = memoryview(bytearray(_BUFFER))
        self._filled = 0
        #: Bytes that were passed on to the sink.
        self.written = 0

    @property
    def position(self) -> int:
        """Where in the archive the next entry begins."""
        return self.written + self._filled

    def add(self, entry: Entry, data: bytes = b"") -> None:
        """Add an entry whose content, if it has any, is in memory; its size is set to that.

        Raises:
            Unsupported: an extended attribute's name cannot be written.
        """
        entry.size = len(data)
        self._put(header(entry))
        if data:
            self._put(data)
            self._pad(len(data))

    def add_from(self, entry: Entry, source: int, *, may_change: bool = False) -> None:
        """Add a file with the ``entry.size`` bytes that come next from descriptor ``source``.

        ``may_change`` is for a file that somebody may be writing to: if it has become shorter than it was, zeros take
        the place of what is missing, as in a file that is cut and extended again. What it has grown by is left out.

        Raises:
            OrlopError: the file ended early or cannot be read; the archive is of no use any more.
            Unsupported: an extended attribute's name cannot be written.
        """
        self._put(header(entry))
        missing = entry.size - self._copy(entry, source)
        if missing:
            if not may_change:
                raise OrlopError(f"/{os.fsdecode(entry.path)} became {missing} bytes shorter while it was archived")
            zeros = bytes(min(missing, _BUFFER))
            while missing:
                part = zeros[:missing]
                self._put(part)
                missing -= len(part)
        self._pad(entry.size)

    def finish(self) -> None:
        """Write the end mark, two blocks of zeros, and pass on what is still here."""
        self._put(bytes(2 * _BLOCK))
        self._flush()

    def _put(self, data: bytes) -> None:
        size = len(data)
        end = self._filled + size
        if end > _BUFFER:
            self._flush()
            if size >= _BUFFER:
                self._sink.write(data)
                self.written += size
                return
            end = size
        self._buffer[self._filled : end] = data
        self._filled = end

    def _pad(self, size: int) -> None:
        rest = -size % _BLOCK
        if rest:
            self._put(bytes(rest))

    def _copy(self, entry: Entry, source: int) -> int:
        """Append a file's content, as much as there is of it; returns how many bytes that were."""
        size = entry.size
        copied = 0
        if size >= _SENDFILE_FROM and isinstance(self._sink, Descriptor):
            self._flush()
            try:
                copied = self._sink.copy(source, size)
                self.written += copied
                return copied
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS):
                    raise
        buffer = self._buffer
        while copied < size:
            if self._filled == _BUFFER:
                self._flush()
            end = min(self._filled + size - copied, _BUFFER)
            try:
                count = os.readv(source, [buffer[self._filled : end]])
            except OSError as error:
                raise OrlopError(f"/{os.fsdecode(entry.path)} cannot be read: {error.strerror}") from error
            if not count:
                break
            self._filled += count
            copied += count
        return copied

    def _flush(self) -> None:
        if self._filled:
            self._sink.write(self._buffer[: self._filled])
            self.written += self._filled
            self._filled = 0
