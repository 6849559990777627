"""What a layer is compressed with, and the data that comes out.

The compression is known by the first bytes, as Docker does it, and must be what the media type says if that says
anything. gzip is done by isal where it is installed, in half of zlib's time; zstd by libzstd. Several gzip members or
zstd frames, one after the other, are one stream (RFC 1952, 2.2; RFC 8878, 3.1). Zeros may follow the last gzip
member, as tapes and some tools leave them; anything else that follows is refused.
"""

from __future__ import annotations

import os
import zlib

from orlop import third_party
from orlop.errors import InvalidArchive, Unsupported
from orlop.storage.layers import tar_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    from orlop.storage.layers.limits import Limits

    class Decompressor(Protocol):
        """One member or frame, as the standard library's bz2, lzma and zstd have it."""

        @property
        def eof(self) -> bool:
            """Whether it has ended."""

        @property
        def needs_input(self) -> bool:
            """Whether there is no more output without more input."""

        @property
        def unused_data(self) -> bytes:
            """Input that comes after the end."""

        def decompress(self, data: bytes | memoryview, max_length: int = -1, /) -> bytes:
            """At most ``max_length`` bytes of output."""


GZIP = "gzip"
ZSTD = "zstd"
NONE = "none"

#: Bytes that are passed on at once: small enough for the processor's cache, large enough that few calls are made.
CHUNK = 256 << 10
_READ = 64 << 10
#: After a member's end the next one first gets this much, so that archives of tiny members are not copied again and again.
_FIRST_STEP = 4 << 10
#: Smaller results are collected.
_SMALL = 32 << 10
#: Bytes that are looked at to tell the compression.
HEAD = 512

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after a byte from 0x50 to 0x5f

#: What is recognised only to be refused by its name.
_OTHERS = (
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x5d\0\0", "lzma"),
    (b"LZIP", "lzip"),
    (b"\x89LZO\0", "lzop"),
    (b"\x1f\x9d", "compress"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"hsqs", "squashfs"),
)

_OCI = "application/vnd.oci.image.layer."
_DOCKER = "application/vnd.docker.image.rootfs."
_KINDS = {"tar": NONE, "tar+gzip": GZIP, "tar+zstd": ZSTD, "tar.gzip": GZIP, "tar.zstd": ZSTD}


def compression_of(media_type: str) -> str:
    """``gzip``, ``zstd`` or ``none``, as a layer's media type says (OCI image-spec, media-types.md; Docker's schema 2).

    Raises:
        Unsupported: the type is not that of a layer that can be unpacked.
    """
    for start, kinds in (
        (_OCI, ("v1.", "nondistributable.v1.")),
        (_DOCKER, ("diff.", "foreign.diff.")),
    ):
        for kind in kinds:
            if media_type.startswith(start + kind):
                compression = _KINDS.get(media_type[len(start + kind) :])
                if compression is not None:
                    return compression
    raise Unsupported(
        f"layers of type {media_type[:160]} cannot be unpacked: expected a tar archive, plain, gzip or zstd"
    )


def detect(head: bytes, media_type: str = "") -> str:
    """What an archive is compressed with, told by its first `HEAD` bytes (or all, if there are fewer).

    Raises:
        Unsupported: it is compressed with something else, or the media type is not a layer's.
        InvalidArchive: it is not compressed as the media type says.
    """
    expected = compression_of(media_type) if media_type else ""
    found = _detect(head)
    if expected and found != expected:
        raise InvalidArchive(
            f"the layer's media type {media_type} says {_spoken(expected)}, but its data is {_spoken(found)}"
        )
    return found


def _detect(head: bytes) -> str:
    for kind in (GZIP, ZSTD):
        if _is_compressed(head, kind):
            return kind
    block = head[:512]
    if len(block) == 512 and (block == bytes(512) or tar_number.checksum_matches(block)):
        return NONE
    for magic, name in _OTHERS:
        if head.startswith(magic):
            raise Unsupported(f"the layer is compressed with {name}, which is not supported: use gzip or zstd")
    return NONE


def _spoken(compression: str) -> str:
    return "not compressed" if compression == NONE else f"compressed with {compression}"


class Codec:
    """How one kind of compressed data is read: what makes decompressors, and the errors that they raise."""

    __slots__ = ("errors", "kind", "open")

    def __init__(self, kind: str, opener: Callable[[], Decompressor], error: type[Exception]) -> None:
        self.kind = kind
        self.open = opener
        self.errors = (error, EOFError, ValueError)


def codec(compression: str) -> Codec | None:
    """How to read what is compressed in this way, with all that it needs imported; None for plain data.

    Raises:
        Unsupported: the package that is needed is not installed.
    """
    if compression == GZIP:
        isal = third_party.find("isal.igzip_lib")
        if isal is None:
            return Codec(GZIP, _Zlib, zlib.error)
        make, flag = isal.IgzipDecompressor, isal.DECOMP_GZIP
        return Codec(GZIP, lambda: make(flag), isal.error)
    if compression == ZSTD:
        zstd = third_party.load("backports.zstd", "unpacking layers that are compressed with zstd")
        return Codec(ZSTD, zstd.ZstdDecompressor, zstd.ZstdError)
    return None


class _Zlib:
    """zlib's gzip decompressor in the form of the others."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._state.eof

    @property
    def needs_input(self) -> bool:
        return not self._state.eof and not self._state.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._state.unused_data

    def decompress(self, data: bytes | memoryview, max_length: int = -1, /) -> bytes:
        tail = self._state.unconsumed_tail
        return self._state.decompress(tail + data if tail else data, max(max_length, 0))


def read_head(source: int) -> bytes:
    """The first bytes of what can be read from a descriptor: `HEAD` at least, or all.

    Raises:
        OSError: it cannot be read.
    """
    head = b""
    while len(head) < HEAD:
        data = os.read(source, _READ)
        if not data:
            break
        head += data
    return head


def chunks(head: bytes, source: int, codec: Codec | None, limits: Limits, free: int) -> Iterator[bytes]:
    """The data of an archive, decompressed, in pieces of about `CHUNK` bytes.

    ``head`` was read from ``source`` already; ``free`` is how many bytes the target's file system has.

    Raises:
        InvalidArchive: it is damaged, ends early, or comes to much more than its size, or than it may.
        OSError: the source cannot be read.
    """
    pieces = _plain(head, source) if codec is None else _collected(_decompressed(head, source, codec, limits, free))
    return _limited(pieces, limits.size) if limits.size else pieces


def _limited(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The same data, as long as that is not more than ``most`` bytes."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise InvalidArchive(f"the layer comes to more than the {most} bytes that max_size allows it to have")
        yield piece


def _plain(head: bytes, source: int) -> Iterator[bytes]:
    if head:
        yield head
    while data := os.read(source, CHUNK):
        yield data


def _collected(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same data with small pieces joined."""
    small: list[bytes] = []
    size = 0
    for piece in pieces:
        if not small and len(piece) >= _SMALL:
            yield piece
            continue
        small.append(piece)
        size += len(piece)
        if size >= _SMALL:
            yield b"".join(small)
            small.clear()
            size = 0
    if small:
        yield b"".join(small)


def _decompressed(head: bytes, source: int, codec: Codec, limits: Limits, free: int) -> Iterator[bytes]:
    always = min(limits.always, free // 4)
    data = memoryview(head)
    consumed = produced = 0
    while data := _filled(data, source):
        state = codec.open()
        step = _FIRST_STEP
        while not state.eof:
            piece = data[:0]
            if state.needs_input:
                if not data:
                    data = memoryview(os.read(source, _READ))
                    if not data:
                        raise InvalidArchive(f"the layer is truncated: its compressed data ends after {consumed} bytes")
                piece, data = data[:step], data[step:]
                consumed += len(piece)
                step = min(step * 4, _READ)
            try:
                output = state.decompress(piece, CHUNK)
            except codec.errors as error:
                reason = str(error)
                raise InvalidArchive(
                    f"the layer's compressed data is damaged before byte {consumed}: {reason[:1].lower()}{reason[1:]}"
                ) from None
            produced += len(output)
            if produced > always and produced > limits.ratio * consumed:
                raise InvalidArchive(
                    f"the layer is a decompression bomb: its first {consumed} bytes come to more than {limits.ratio} times"
                    f" that many"
                )
            if output:
                yield output
        unused = state.unused_data
        if unused:
            consumed -= len(unused)
            data = memoryview(bytes(unused) + bytes(data))
        data = _next_member(data, source, codec.kind, consumed)


def _filled(data: memoryview, source: int) -> memoryview:
    """The data with as much added that a member's header is complete: isal 2.31 stumbles over one with a checksum that is not."""
    while len(data) < _FIRST_STEP:
        more = os.read(source, _READ)
        if not more:
            break
        data = memoryview(bytes(data) + more)
    return data


def _next_member(data: memoryview, source: int, kind: str, at: int) -> memoryview:
    """What comes after a member's end; empty if nothing does but, after gzip, zeros."""
    data = _filled(data, source)
    start = bytes(data[:4])
    if not start or _is_compressed(start, kind):
        return data
    while kind == GZIP and not bytes(data).strip(b"\0"):
        data = memoryview(os.read(source, _READ))
        if not data:
            return data
    raise InvalidArchive(f"the layer's compressed data is followed by something else at byte {at}")


def _is_compressed(head: bytes, kind: str) -> bool:
    if kind == GZIP:
        return head.startswith(_GZIP_MAGIC)
    return head.startswith(_ZSTD_MAGIC) or (head[1:4] == _ZSTD_SKIPPABLE and head[0] & 0xF0 == 0x50)
