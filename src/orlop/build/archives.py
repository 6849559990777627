"""Archives that ADD unpacks: told by what is in them, never by their names."""

from __future__ import annotations

import os

from orlop.errors import InvalidArchive, OrlopError
from orlop.images.archive import contents
from orlop.storage.layers import apply, decompress
from orlop.storage.layers.limits import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.storage.snapshots.interface import Target

_BLOCK = 512


def is_archive(descriptor: int) -> bool:
    """Whether an open file is a tar archive, perhaps compressed with gzip, zstd, xz or bzip2; its place is kept."""
    try:
        head = decompress.read_head(descriptor)
        codec = contents.codec(head, "the archive")
        beginning = b""
        for piece in decompress.chunks(head, descriptor, codec, DEFAULT, 1 << 40):
            beginning += piece
            if len(beginning) >= _BLOCK:
                break
    except OrlopError:
        return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return len(beginning) >= _BLOCK and _is_header(beginning[:_BLOCK])


def _is_header(block: bytes) -> bool:
    """Whether a block's checksum is right (ustar interchange format, pax(1))."""
    try:
        said = int(block[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return said == sum(block[:148]) + 8 * ord(" ") + sum(block[156:])


def unpack(descriptor: int, target: Target, aside: str, name: str) -> None:
    """Unpack an open archive into a directory; ``aside`` is where one that has to be decompressed first is put meanwhile.

    Raises:
        InvalidArchive: it is damaged, or hostile.
        OrlopError: it cannot be unpacked.
        OSError: the file system refuses.
    """
    head = decompress.read_head(descriptor)
    codec = contents.codec(head, name)
    if codec is None or codec.kind in (decompress.GZIP, decompress.ZSTD):
        os.lseek(descriptor, 0, os.SEEK_SET)
        _apply(descriptor, target, name)
        return
    free = os.statvfs(os.path.dirname(aside))
    plain = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.unlink(aside)
        for piece in decompress.chunks(head, descriptor, codec, DEFAULT, free.f_bavail * free.f_frsize):
            data = memoryview(piece)
            while data:
                data = data[os.write(plain, data) :]
        os.lseek(plain, 0, os.SEEK_SET)
        _apply(plain, target, name)
    finally:
        os.close(plain)


def _apply(descriptor: int, target: Target, name: str) -> None:
    try:
        apply.apply(descriptor, target)
    except InvalidArchive as error:
        raise contents.about(error, name) from None
