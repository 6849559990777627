"""A log in files of a limited size, so that no log fills a disk.

When the newest file would grow past its limit it becomes ``NAME.1``, that one ``NAME.2``, and the oldest goes. With
compression a child makes ``NAME.1.gz`` of it meanwhile.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

COMPRESSED = ".gz"
_CHUNK = 1 << 16


class Files:
    """The files of one log, for their only writer. ``descriptor`` is of the newest, at ``path``, from `open_newest`.

    ``limit`` is in bytes for each file, 0 for none; ``most`` is how many files there may be.
    """

    __slots__ = ("_child", "_compress", "_count", "_descriptor", "_limit", "_most", "_path")

    def __init__(self, descriptor: int, path: str, *, limit: int, most: int, compress: bool = False) -> None:
        self._descriptor = descriptor
        self._path = path
        self._limit = limit
        self._most = most
        self._compress = compress
        self._count = os.fstat(descriptor).st_size
        self._child = 0  # compresses

    def append(self, data: bytes, cut: Callable[[bytes, int], int]) -> None:
        """Write records; ``cut(data, room)`` is the length of the records at the beginning that fit into ``room`` bytes."""
        while self._limit and self._count + len(data) > self._limit:
            room = cut(data, self._limit - self._count)
            if not room and not self._count:
                room = cut(data, -1)  # a single record that is larger than a file may be
            self._write(data[:room])
            data = data[room:]
            if not data:
                return
            self._rotate()
        self._write(data)

    def close(self) -> None:
        """Nothing more is written."""
        self._reap()
        os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        self._count += len(data)
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            # A full disk costs log lines, never the container: its program must not see its pipe close.
            return

    def _rotate(self) -> None:
        self._reap()
        os.close(self._descriptor)
        for ending in ("", COMPRESSED):
            _remove(f"{self._path}.{self._most - 1}{ending}")  # the oldest, and a compressed one of its number
            for number in range(self._most - 1, 1, -1):
                _move(f"{self._path}.{number - 1}{ending}", f"{self._path}.{number}{ending}")
        if self._most > 1:
            _move(self._path, f"{self._path}.1")
        else:
            _remove(self._path)
        self._descriptor = open_newest(self._path)
        self._count = 0
        if self._compress and self._most > 1:
            self._child = os.fork()
            if self._child == 0:
                status = 1
                try:
                    compress(f"{self._path}.1")
                    status = 0
                finally:
                    os._exit(status)

    def _reap(self) -> None:
        if self._child:
            os.waitpid(self._child, 0)
            self._child = 0


def open_newest(path: str) -> int:
    """Open a log for writing at its end, making it if it is not there."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def compress(path: str) -> None:
    """Replace a file by a compressed one, ``path.gz``, that has the file's `origin` for a name (RFC 1952, FNAME).

    By that a reader who had the file open knows which one it has read.
    """
    import zlib

    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    aside = f"{path}{COMPRESSED}.new"
    target = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    checksum = size = 0
    deflate = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -zlib.MAX_WBITS)
    # The magic number, deflate, FNAME, no time, no extra flags, Unix.
    os.write(target, b"\x1f\x8b\x08\x08" + bytes(5) + b"\x03" + origin(source) + b"\0")
    while data := os.read(source, _CHUNK):
        checksum = zlib.crc32(data, checksum)
        size += len(data)
        _write_all(target, deflate.compress(data))
    trailer = checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
    _write_all(target, deflate.flush() + trailer)
    os.rename(aside, f"{path}{COMPRESSED}")
    os.unlink(path)


def origin(descriptor: int) -> bytes:
    """What tells a file that is not written to any more from any other that has its inode's number later."""
    status = os.fstat(descriptor)
    return f"{status.st_ino}.{status.st_mtime_ns}".encode()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _move(old: str, new: str) -> None:
    try:
        os.rename(old, new)
    except FileNotFoundError:
        return  # there are not so many yet


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
