from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import zlib
from typing import TYPE_CHECKING

import pytest

from orlop.errors import InvalidArchive, Unsupported
from orlop.storage.layers import decompress
from orlop.storage.layers.limits import Limits
from orlop.third_party import load
from tests.layers import END, header, member

if TYPE_CHECKING:
    from collections.abc import Iterator

zstd = load("backports.zstd", "testing")
FREE = 1 << 40
#: Some of it can be compressed, some cannot.
DATA = b"".join(bytes([number % 251]) * 1000 + os.urandom(1000) for number in range(400))


@pytest.fixture(params=["isal", "zlib"])
def gzip_codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> decompress.Codec:
    """The two that gzip can be read with."""
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal.igzip_lib", None)
    codec = decompress.codec("gzip")
    assert codec is not None
    assert (codec.errors[0] is zlib.error) == (request.param == "zlib")
    return codec


@pytest.fixture
def zstd_codec() -> decompress.Codec:
    codec = decompress.codec("zstd")
    assert codec is not None
    return codec


def pieces(
    data: bytes, codec: decompress.Codec | None, *, limits: Limits | None = None, head: int = 512
) -> Iterator[bytes]:
    """What comes out, where ``head`` bytes were read before and the rest is in a file."""
    file = os.memfd_create("compressed")
    try:
        os.write(file, data)
        os.lseek(file, head, os.SEEK_SET)
        yield from decompress.chunks(data[:head], file, codec, limits or Limits(), FREE)
    finally:
        os.close(file)


def all_of(data: bytes, codec: decompress.Codec | None, head: int = 512) -> bytes:
    return b"".join(pieces(data, codec, head=head))


def refused(data: bytes, codec: decompress.Codec) -> str:
    with pytest.raises(InvalidArchive) as caught:
        all_of(data, codec)
    return str(caught.value)


def test_gzip_in_one_and_in_many_members(gzip_codec: decompress.Codec) -> None:
    assert all_of(gzip.compress(DATA), gzip_codec) == DATA
    cut = [DATA[at : at + 10_000] for at in range(0, len(DATA), 10_000)]
    assert all_of(b"".join(map(gzip.compress, cut)), gzip_codec) == DATA
    tiny = [DATA[at : at + 10] for at in range(0, 20_000, 10)]
    assert all_of(b"".join(map(gzip.compress, tiny)), gzip_codec) == DATA[:20_000]
    assert all_of(gzip.compress(b"") * 3 + gzip.compress(b"x") + gzip.compress(b""), gzip_codec) == b"x"


def test_gzip_with_all_that_its_header_can_have(gzip_codec: decompress.Codec) -> None:
    raw = zlib.compressobj(wbits=-15)
    body = raw.compress(DATA) + raw.flush()
    end = zlib.crc32(DATA).to_bytes(4, "little") + len(DATA).to_bytes(4, "little")
    start = b"\x1f\x8b\x08\x1e\0\0\0\0\0\xff" + b"\x05\0extra" + b"name\0" + b"comment\0"
    start += (zlib.crc32(start) & 0xFFFF).to_bytes(2, "little")
    for head in (512, 12, 2):
        assert all_of(start + body + end, gzip_codec, head) == DATA


def test_zstd_in_one_and_in_many_frames(zstd_codec: decompress.Codec) -> None:
    skippable = b"\x50\x2a\x4d\x18\x05\0\0\0hello"
    assert all_of(zstd.compress(DATA), zstd_codec) == DATA
    cut = [DATA[at : at + 10_000] for at in range(0, len(DATA), 10_000)]
    assert all_of(b"".join(map(zstd.compress, cut)), zstd_codec) == DATA
    assert (
        all_of(skippable + zstd.compress(b"a") + skippable * 2 + zstd.compress(b"b") + skippable, zstd_codec) == b"ab"
    )


def test_plain_data_is_passed_on() -> None:
    assert all_of(DATA, None) == DATA
    assert all_of(b"", None, 0) == b""


def test_zeros_may_follow_gzip_and_nothing_else_may(gzip_codec: decompress.Codec, zstd_codec: decompress.Codec) -> None:
    for count in (1, 3, 512, 300_000):
        assert all_of(gzip.compress(DATA) + bytes(count), gzip_codec) == DATA
        assert "followed by something else" in refused(gzip.compress(DATA) + bytes(count) + b"x", gzip_codec)
        assert "followed by something else" in refused(zstd.compress(DATA) + bytes(count), zstd_codec)
    for garbage in (b"x", b"\x1f", b"\x1f\x8c" * 300):
        assert "followed by something else" in refused(gzip.compress(DATA) + garbage, gzip_codec)
        assert "followed by something else" in refused(zstd.compress(DATA) + garbage, zstd_codec)


def test_truncation_at_every_byte_is_an_error(gzip_codec: decompress.Codec, zstd_codec: decompress.Codec) -> None:
    data = DATA[:2500]
    for whole, codec in (
        (gzip.compress(data), gzip_codec),
        (gzip.compress(data[:1000]) + gzip.compress(data[1000:]), gzip_codec),
        (zstd.compress(data), zstd_codec),
    ):
        boundary = len(gzip.compress(data[:1000]))
        for length in range(4, len(whole)):
            if whole[length:].startswith(b"\x1f\x8b\x08") and length == boundary:
                continue  # the end of the first member
            with pytest.raises(InvalidArchive, match=r"truncated|something else|damaged"):
                all_of(whole[:length], codec)


def test_damage_is_an_error_wherever_it_is(gzip_codec: decompress.Codec) -> None:
    whole = bytearray(gzip.compress(DATA[:3000], mtime=0))
    for at in range(len(whole)):
        if 4 <= at < 10:
            continue  # the time, and the system that it was made on
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        try:
            assert all_of(bytes(damaged), gzip_codec) == DATA[:3000]
            assert at == 3  # flags that announce something which happened to fit
        except InvalidArchive:
            pass


def test_a_checksum_of_zstd_is_checked(zstd_codec: decompress.Codec) -> None:
    whole = bytearray(zstd.compress(DATA, options={zstd.CompressionParameter.checksum_flag: 1}))
    whole[-1] ^= 1
    assert "damaged" in refused(bytes(whole), zstd_codec)


def bomb(size: int) -> bytes:
    return gzip.compress(bytes(size), 9)


def test_a_bomb_is_found_before_it_has_come_to_much(gzip_codec: decompress.Codec, zstd_codec: decompress.Codec) -> None:
    limits = Limits(ratio=100, always=1 << 20)
    for data, codec in ((bomb(64 << 20), gzip_codec), (zstd.compress(bytes(64 << 20)), zstd_codec)):
        sizes: list[int] = []
        with pytest.raises(InvalidArchive, match="decompression bomb"):
            sizes.extend(map(len, pieces(data, codec, limits=limits)))
        assert sum(sizes) < 16 << 20


def test_what_is_small_may_be_compressed_to_any_degree(gzip_codec: decompress.Codec) -> None:
    assert sum(map(len, pieces(bomb(8 << 20), gzip_codec, limits=Limits(ratio=100, always=8 << 20)))) == 8 << 20


def test_where_little_is_free_less_is_small(gzip_codec: decompress.Codec) -> None:
    data = bomb(8 << 20)
    file = os.memfd_create("compressed")
    with pytest.raises(InvalidArchive, match="decompression bomb"):
        list(decompress.chunks(data, file, gzip_codec, Limits(), 16 << 20))
    os.close(file)


def test_pieces_are_neither_large_nor_tiny(gzip_codec: decompress.Codec) -> None:
    sizes = [len(piece) for piece in pieces(bomb(4 << 20), gzip_codec)]
    assert max(sizes) <= decompress.CHUNK
    tiny = b"".join(gzip.compress(b"x" * 100) for _ in range(5000))
    sizes = [len(piece) for piece in pieces(tiny, gzip_codec)]
    assert len(sizes) < 50


def tar() -> bytes:
    return member(b"name", b"data") + END


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (lzma.compress(tar()), "xz"),
        (bz2.compress(tar()), "bzip2"),
        (lzma.compress(tar(), format=lzma.FORMAT_ALONE), "lzma"),
        (b"\x04\x22\x4d\x18" + bytes(600), "lz4"),
        (b"LZIP\x01" + bytes(600), "lzip"),
        (b"\x1f\x9d\x90" + bytes(600), "compress"),
        (b"PK\x03\x04" + bytes(600), "zip"),
        (b"hsqs" + bytes(600), "squashfs"),
    ],
)
def test_other_compressions_are_refused_by_name(data: bytes, name: str) -> None:
    with pytest.raises(Unsupported, match=f"compressed with {name}, which is not supported"):
        decompress.detect(data[:512])


def test_compression_is_told_by_the_data() -> None:
    assert decompress.detect(gzip.compress(tar())[:512]) == "gzip"
    assert decompress.detect(zstd.compress(tar())[:512]) == "zstd"
    assert decompress.detect(b"\x5f\x2a\x4d\x18" + bytes(600)) == "zstd"
    assert decompress.detect(tar()[:512]) == "none"
    assert decompress.detect(END[:512]) == "none"
    assert decompress.detect(b"") == "none"


@pytest.mark.parametrize("name", [b"BZh91AY", b"LZIP", b"PK\x03\x04", b"hsqs"])
def test_an_archive_whose_first_name_looks_like_a_compression_is_plain(name: bytes) -> None:
    assert decompress.detect(header(name)) == "none"


OCI = "application/vnd.oci.image.layer."
DOCKER = "application/vnd.docker.image.rootfs."


@pytest.mark.parametrize(
    ("media_type", "compression"),
    [
        (OCI + "v1.tar", "none"),
        (OCI + "v1.tar+gzip", "gzip"),
        (OCI + "v1.tar+zstd", "zstd"),
        (OCI + "nondistributable.v1.tar+gzip", "gzip"),
        (DOCKER + "diff.tar", "none"),
        (DOCKER + "diff.tar.gzip", "gzip"),
        (DOCKER + "diff.tar.zstd", "zstd"),
        (DOCKER + "foreign.diff.tar.gzip", "gzip"),
    ],
)
def test_media_types_say_what_the_compression_is(media_type: str, compression: str) -> None:
    assert decompress.compression_of(media_type) == compression
    heads = {"none": tar()[:512], "gzip": gzip.compress(tar()), "zstd": zstd.compress(tar())}
    for found, head in heads.items():
        if found == compression:
            assert decompress.detect(head, media_type) == found
        else:
            with pytest.raises(InvalidArchive, match="the layer's media type .* says"):
                decompress.detect(head, media_type)


@pytest.mark.parametrize(
    "media_type",
    [OCI + "v1.tar+xz", OCI + "v1.tar+gzip+encrypted", "application/vnd.in-toto+json", OCI + "v1.squashfs"],
)
def test_other_media_types_are_refused_by_name(media_type: str) -> None:
    with pytest.raises(Unsupported, match="cannot be unpacked") as caught:
        decompress.detect(tar()[:512], media_type)
    assert media_type in str(caught.value)


def test_archives_that_python_writes_are_plain() -> None:
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        output = io.BytesIO()
        with tarfile.open(fileobj=output, mode="w", format=form) as archive:
            archive.addfile(tarfile.TarInfo("é" * 30))
        assert decompress.detect(output.getvalue()[:512]) == "none"
