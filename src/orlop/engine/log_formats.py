"""The files in which logs are kept, and how they are read: Docker's json-file and local formats, compressed or not."""

from __future__ import annotations

import os

from orlop import clock, json_text
from orlop.engine import log_local, log_rotation
from orlop.engine.log_rotation import COMPRESSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator
    from typing import Protocol

    class Format(Protocol):
        """How records lie in a file."""

        def tail(self, data: bytes | mmap.mmap, count: int) -> tuple[int, int]:
            """Where the last ``count`` records begin, and how many there are from there on."""

        def entries(self, data: bytes) -> tuple[list[Entry], int]:
            """The whole records at the beginning, and how many bytes they have."""


_CHUNK = 1 << 16
#: How often to look again at files that were replaced while we looked.
_LOOKS = 20
_NAMED = 8  # FNAME in the flags of a gzip header (RFC 1952)


class Entry:
    """One record of a log: a line, or a part of a long one.

    ``text`` has bytes that are no UTF-8 as surrogates. ``attributes`` are what the log's options ask for.
    """

    __slots__ = ("attributes", "stream", "text", "time")

    def __init__(self, stream: str, text: str, time: str, attributes: dict[str, str] | None = None) -> None:
        self.stream = stream
        self.text = text
        self.time = time
        self.attributes = attributes or {}


class Json:
    """One JSON object a line."""

    __slots__ = ()

    def tail(self, data: bytes | mmap.mmap, count: int) -> tuple[int, int]:
        """Where the last ``count`` records begin, and how many there are from there on."""
        offset = len(data)
        found = 0
        while found < count and offset > 0:
            found += 1
            offset = data.rfind(b"\n", 0, offset - 1) + 1
        return offset, found

    def entries(self, data: bytes) -> tuple[list[Entry], int]:
        """The whole records at the beginning, and how many bytes they have."""
        end = data.rfind(b"\n") + 1
        found = []
        for line in data[: end - 1].split(b"\n") if end else ():
            try:
                record = json_text.loads(line)
            except ValueError:
                continue  # a line that a full disk cut short
            if isinstance(record, dict):
                stream, text, time = (str(record.get(key, "")) for key in ("stream", "log", "time"))
                found.append(Entry(stream, text, time, record.get("attrs")))
        return found, end


class Local:
    """Messages of protocol buffers (`log_local`)."""

    __slots__ = ()

    def tail(self, data: bytes | mmap.mmap, count: int) -> tuple[int, int]:
        """Where the last ``count`` records begin, and how many there are from there on."""
        offset = len(data)
        found = 0
        while found < count and offset >= 8:
            length = int.from_bytes(data[offset - 4 : offset], "big") + 8
            begin = offset - length
            if begin < 0 or data[begin : begin + 4] != data[offset - 4 : offset]:
                break  # a record that a full disk cut short
            offset = begin
            found += 1
        return offset, found

    def entries(self, data: bytes) -> tuple[list[Entry], int]:
        """The whole records at the beginning, and how many bytes they have."""
        found = []
        end = 0
        try:
            for begin, end in log_local.records(data):
                stream, moment, text = log_local.parse(data[begin + 4 : end - 4])
                found.append(Entry(stream, text.decode("utf-8", "surrogateescape"), clock.text(moment)))
        except ValueError:
            end = len(data)  # what follows a record that a full disk cut short cannot be told from it
        return found, end


class File:
    """One file of a log, open for reading."""

    __slots__ = ("_descriptor", "_is_compressed", "_rest")

    def __init__(self, descriptor: int, *, is_compressed: bool) -> None:
        self._descriptor = descriptor
        self._is_compressed = is_compressed
        self._rest = b""

    def is_same(self, other: File) -> bool:
        """Whether the two are one file, or it and what it was compressed to.

        While a file is open its inode's number is nobody else's. Nothing is written to a file that was replaced, so that
        it and the time of its last change are what a compressed file remembers.
        """
        if not (self._is_compressed or other._is_compressed):
            return os.fstat(self._descriptor).st_ino == os.fstat(other._descriptor).st_ino
        return self._origin() == other._origin()

    def _origin(self) -> bytes:
        if not self._is_compressed:
            return log_rotation.origin(self._descriptor)
        header = os.pread(self._descriptor, 128, 0)
        return header[10:].split(b"\0", 1)[0] if len(header) > 10 and header[3] & _NAMED else b""

    def data(self) -> bytes | mmap.mmap:
        """Everything that is in it now."""
        if self._is_compressed:
            import gzip

            with open(self._descriptor, "rb", closefd=False) as file:
                file.seek(0)
                return gzip.decompress(file.read())
        if not os.fstat(self._descriptor).st_size:
            return b""
        import mmap

        return mmap.mmap(self._descriptor, 0, prot=mmap.PROT_READ)

    def entries(self, form: Format, offset: int) -> Iterator[Entry]:
        """The records from an offset on, or with -1 those since the last time."""
        if self._is_compressed:
            if offset >= 0:
                yield from form.entries(bytes(self.data())[offset:])[0]
            return
        if offset >= 0:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
        while data := os.read(self._descriptor, _CHUNK):
            found, length = form.entries(self._rest + data)
            self._rest = (self._rest + data)[length:]
            yield from found

    def close(self) -> None:
        """Read no more of it."""
        os.close(self._descriptor)


def open_files(path: str) -> list[File] | None:
    """The files of a log, oldest first; None if they are being replaced so fast that their order cannot be told."""
    for _ in range(_LOOKS):
        names = _names(path)
        opened = [(name, _open(name)) for name in names]
        if _names(path) == names and all(file is not None and _is_at(file, name) for name, file in opened):
            found: list[File] = []
            for _, file in opened:
                # One that was just compressed may be there twice.
                if file is None:
                    continue
                if any(file.is_same(each) for each in found):
                    file.close()
                else:
                    found.append(file)
            return found
        for _, file in opened:
            if file is not None:
                file.close()
    return None


def open_newest(path: str) -> File | None:
    """A log's newest file; None if it is not there."""
    return _open(path)


def _names(path: str) -> list[str]:
    """The paths of a log's files, oldest first."""
    directory, _, base = path.rpartition("/")
    numbered = []
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    for name in names:
        number = name.removeprefix(base).removesuffix(COMPRESSED).removeprefix(".") or "0"
        if name.startswith(base) and number.isdigit():
            numbered.append((-int(number), name))
    return [f"{directory}/{name}" for _, name in sorted(numbered)]


def _open(name: str) -> File | None:
    try:
        return File(os.open(name, os.O_RDONLY | os.O_CLOEXEC), is_compressed=name.endswith(COMPRESSED))
    except FileNotFoundError:
        return None


def _is_at(file: File, name: str) -> bool:
    """Whether a file still is where it was opened."""
    other = _open(name)
    if other is None:
        return False
    try:
        return file.is_same(other)
    finally:
        other.close()
