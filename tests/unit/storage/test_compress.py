"""Compressed layers are what their tools read, and do not depend on who makes them how."""

from __future__ import annotations

import gzip
import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from orlop import third_party
from orlop.errors import InvalidArgument
from orlop.storage.layers import compress

if TYPE_CHECKING:
    from types import ModuleType

PIECE = 1 << 20


def some_data(size: int) -> bytes:
    """What compresses, and what does not."""
    text = b"".join(b"%d is a number\n" % number for number in range(size // 60 + 1))
    return (text + os.urandom(size // 3) + text)[:size]


class Memory:
    def __init__(self) -> None:
        self.content = b""

    def write(self, data: bytes | memoryview) -> None:
        self.content += data


def compressed(kind: str, data: bytes, *, threads: int = 0, at_once: int = PIECE) -> bytes:
    sink = Memory()
    with compress.compressor(kind, sink, threads) as compressor:
        view = memoryview(data)
        for start in range(0, len(data), at_once):
            compressor.write(view[start : start + at_once])
        compressor.finish()
    return sink.content


@pytest.fixture(params=["isal", "zlib"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    found = third_party.find

    def without(name: str) -> ModuleType | None:
        return None if name.startswith("isal") else found(name)

    if request.param == "zlib":
        monkeypatch.setattr(third_party, "find", without)
    elif found("isal.isal_zlib") is None:
        pytest.skip("needs the Python package isal")
    return str(request.param)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 12345])
def test_gzip_gives_back_what_it_got(size: int, library: str) -> None:
    data = some_data(size)
    made = compressed("gzip", data)
    assert gzip.decompress(made) == data
    assert subprocess.run(["gzip", "-dc"], input=made, capture_output=True, check=True).stdout == data


def test_gzip_has_neither_time_nor_name(library: str) -> None:
    assert compressed("gzip", b"data")[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_the_bytes_depend_neither_on_the_threads_nor_on_the_writes(kind: str, library: str) -> None:
    data = some_data(5 * PIECE + 17)
    made = {
        compressed(kind, data, threads=threads, at_once=at_once)
        for threads, at_once in ((1, PIECE), (2, 7 * PIECE), (5, 99_991), (2, PIECE))
    }
    assert len(made) == 1


def test_a_piece_refers_to_the_one_before_it(library: str) -> None:
    part = os.urandom(30_000)
    data = bytes(PIECE - len(part)) + part + part
    assert len(compressed("gzip", data)) < len(part) + 6000


def test_zstd_gives_back_what_it_got_with_a_checksum() -> None:
    zstd = third_party.load("backports.zstd", "this test")
    for size in (0, 1, 7 * PIECE + 3):
        data = some_data(size)
        made = compressed("zstd", data)
        assert zstd.decompress(made) == data
        assert made[4] & 4  # Content_Checksum_flag, RFC 8878, 3.1.1.1.1


def test_none_passes_on_what_it_gets() -> None:
    assert compressed("", b"data") == b"data"


def test_another_kind_is_refused_by_name() -> None:
    with pytest.raises(
        InvalidArgument, match='unknown compression "xz": expected gzip, zstd or an empty text for none'
    ):
        compress.compressor("xz", Memory())


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_the_threads_end_also_when_the_work_does_not(kind: str) -> None:
    class Full:
        def __init__(self) -> None:
            self.taken = 0

        def write(self, data: bytes | memoryview) -> None:
            self.taken += len(data)
            if self.taken > PIECE:
                raise OSError(28, "No space left on device")

    before = threading.active_count()

    def fill() -> None:
        with compress.compressor(kind, Full(), 2) as compressor:
            while True:
                compressor.write(os.urandom(PIECE))

    with pytest.raises(OSError, match="No space left"):
        fill()
    assert threading.active_count() == before
