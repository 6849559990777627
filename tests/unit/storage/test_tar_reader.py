from __future__ import annotations

import hashlib
import io
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import InvalidArchive
from orlop.storage.layers.stream import Stream
from orlop.storage.layers.tar_number import decimal, nanoseconds, number
from orlop.storage.layers.tar_reader import DIRECTORY, FILE, TarReader
from tests.layers import END, directory, gnu_long, header, member, octal, padded, pax, record

if TYPE_CHECKING:
    from orlop.storage.layers.tar_reader import Entry


def read(archive: bytes, piece: int = 1 << 16) -> list[tuple[Entry, bytes]]:
    """All entries with their data, sparse files with their zeros."""
    stream = Stream(iter([archive[at : at + piece] for at in range(0, len(archive), piece)]), hashlib.sha256())
    found = []
    try:
        reader = TarReader(stream)
        while (entry := reader.next()) is not None:
            file = os.memfd_create("data")
            try:
                if entry.pieces is not None:
                    reader.copy_pieces(file, entry.pieces, entry.size)
                elif entry.kind == FILE:
                    reader.copy(file)
                found.append((entry, os.pread(file, 1 << 24, 0)))
            finally:
                os.close(file)
        stream.drain()
    finally:
        stream.close()
    return found


def one(archive: bytes) -> Entry:
    (found,) = read(archive)
    return found[0]


def refused(archive: bytes) -> str:
    with pytest.raises(InvalidArchive) as caught:
        read(archive)
    return str(caught.value)


@pytest.mark.parametrize("piece", [1, 7, 512, 1000, 1 << 16])
def test_entries_are_the_same_however_the_data_comes(piece: int) -> None:
    archive = directory(b"d/") + member(b"d/a", b"x" * 700) + pax({b"path": b"d/" + b"n" * 200}) + member(b"n") + END
    found = [(entry.name, entry.kind, data) for entry, data in read(archive, piece)]
    assert found == [
        (b"d/", DIRECTORY, b""),
        (b"d/a", FILE, b"x" * 700),
        (b"d/" + b"n" * 200, FILE, b""),
    ]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("length", [1, 99, 100, 101, 155, 156, 200, 255])
def test_names_of_all_lengths_are_read_as_python_wrote_them(form: int, length: int) -> None:
    if length == 255 and form == tarfile.USTAR_FORMAT:
        length = 240  # a slash must be where the name is split
    name = ("directory/" * 30)[: length - 1] + "n"
    link = ("target/" * 40)[: min(length, 100 if form == tarfile.USTAR_FORMAT else length)]
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=form) as archive:
        about = tarfile.TarInfo(name)
        about.type = tarfile.SYMTYPE
        about.linkname = link
        archive.addfile(about)
    entry = one(output.getvalue())
    assert entry.name == name.encode()
    assert entry.link == link.encode()


def test_star_has_times_where_others_have_the_end_of_the_prefix() -> None:
    rest = b"prefix".ljust(131, b"\0") + octal(1, 12) + octal(2, 12) + bytes(8) + b"tar\0"
    assert one(header(b"name", rest=rest) + END).name == b"prefix/name"
    assert one(header(b"name", rest=b"p" * 155) + END).name == b"p" * 155 + b"/name"


def test_gnu_and_old_headers_have_no_prefix() -> None:
    assert one(header(b"name", magic=b"ustar  \0", rest=b"17777777") + END).name == b"name"
    assert one(header(b"name", magic=bytes(8), rest=b"17777777") + END).name == b"name"


def test_an_old_header_makes_a_directory_of_what_ends_in_a_slash() -> None:
    assert one(header(b"d/", b"\0", magic=bytes(8)) + END).kind == DIRECTORY
    assert one(header(b"d/", b"0") + END).kind == DIRECTORY
    assert one(header(b"f", b"\0", magic=bytes(8)) + END).kind == FILE
    assert one(header(b"f", b"7") + END).kind == FILE


def test_a_directory_with_data_is_refused() -> None:
    assert "directory with data" in refused(member(b"d/", b"data") + END)


def test_what_kinds_without_data_say_of_their_size_is_ignored() -> None:
    found = read(header(b"l", b"2", link=b"t", size=512) + header(b"d/", b"5", size=4096) + member(b"f", b"data") + END)
    assert [(entry.name, entry.size, data) for entry, data in found] == [
        (b"l", 0, b""),
        (b"d/", 0, b""),
        (b"f", 4, b"data"),
    ]


def test_gnu_long_names_and_links() -> None:
    entry = one(gnu_long(b"n" * 300) + gnu_long(b"t" * 400, b"K") + header(b"n", b"2", link=b"t") + END)
    assert (entry.name, entry.link) == (b"n" * 300, b"t" * 400)


def test_gnu_incremental_directories_and_volume_names() -> None:
    archive = header(b"volume", b"V", magic=b"ustar  \0")
    archive += member(b"d/", b"Yfile\0\0", b"D", magic=b"ustar  \0") + member(b"d/file", b"data") + END
    assert [(entry.name, entry.kind, data) for entry, data in read(archive)] == [
        (b"d/", DIRECTORY, b""),
        (b"d/file", FILE, b"data"),
    ]


def test_records_count_more_than_the_header() -> None:
    records = {
        b"path": b"path",
        b"linkpath": b"link",
        b"uid": b"4000000000",
        b"gid": b"4000000001",
        b"mtime": b"1.5",
        b"atime": b"-1.25",
        b"comment": b"nothing",
    }
    entry = one(pax(records) + header(b"n", b"2", uid=1, link=b"l") + END)
    assert (entry.name, entry.link, entry.uid, entry.gid) == (b"path", b"link", 4000000000, 4000000001)
    assert (entry.mtime, entry.atime) == (1_500_000_000, -1_250_000_000)


def test_the_size_in_a_record_is_the_size() -> None:
    archive = pax({b"size": b"5"}) + header(b"f", size=0) + padded(b"hello") + member(b"g", b"x") + END
    assert [(entry.name, data) for entry, data in read(archive)] == [(b"f", b"hello"), (b"g", b"x")]


def test_global_records_count_until_they_are_replaced() -> None:
    archive = pax({b"uid": b"7", b"gid": b"8"}, b"g") + header(b"a") + pax({b"uid": b"9"}) + header(b"b") + header(b"c")
    archive += pax({b"uid": b""}, b"g") + header(b"d", uid=3) + END
    assert [(entry.name, entry.uid, entry.gid) for entry, _ in read(archive)] == [
        (b"a", 7, 8),
        (b"b", 9, 8),
        (b"c", 7, 8),
        (b"d", 3, 8),
    ]


def test_names_are_bytes_whatever_the_character_set_is() -> None:
    for charset in (b"BINARY", b"ISO-IR 10646 2000 UTF-8"):
        archive = pax(record(b"hdrcharset", charset) + record(b"path", b"\xff\xfe\xe4")) + header(b"n") + END
        assert one(archive).name == b"\xff\xfe\xe4"
    assert "character set" in refused(pax({b"hdrcharset": b"KOI8"}) + header(b"n") + END)


@pytest.mark.parametrize(
    "records",
    [
        b"x path=a\n",
        b"10 path=ab\n",
        b"8 path=a\n",
        b"99 path=a\n",
        b"0 path=a\n",
        b"5 =a\n\n",
        b"7 pathh\n",
        b"-5 a=b\n",
        b"6 a=bc",
        record(b"path", b"a\0b"),
        record(b"size", b"-1"),
        record(b"size", b"1_0"),
        record(b"size", b"9" * 30),
        record(b"uid", b"one"),
        record(b"mtime", b"1.x"),
        record(b"mtime", b"1e5"),
    ],
)
def test_malformed_records_are_refused(records: bytes) -> None:
    refused(pax(records) + header(b"n") + END)


def test_an_extended_header_without_an_entry_is_refused() -> None:
    assert "truncated" in refused(pax({b"path": b"n"}) + END)
    assert "truncated" in refused(gnu_long(b"n" * 101))


def test_headers_larger_than_a_mebibyte_are_refused() -> None:
    for kind in (b"x", b"g", b"L", b"K"):
        assert "extended header or a long name" in refused(header(b"n", kind, size=(1 << 20) + 1) + bytes(2 << 20))


@pytest.mark.parametrize("kind", [b"M", b"N", b"Z", b"8", b"\x80"])
def test_unknown_kinds_are_refused_by_name(kind: bytes) -> None:
    assert f"unknown kind {chr(kind[0])!r}" in refused(header(b"n", kind) + END)


def test_a_wrong_checksum_is_refused() -> None:
    block = bytearray(header(b"name"))
    block[0] ^= 1
    assert "checksum" in refused(bytes(block) + END)


@pytest.mark.parametrize("name", [b"name", b"\xe4" * 90])
def test_sums_of_signed_bytes_are_taken_too(name: bytes) -> None:
    assert one(header(name, signed=True) + END).name == name
    assert one(header(name) + END).name == name


def test_a_number_off_by_what_the_quick_sum_cannot_tell_is_a_wrong_checksum() -> None:
    block = header(b"\x7f" * 100)
    total = int(block[148:154], 8)
    assert "checksum" in refused(block[:148] + b"%07o\0" % (total + 65521) + block[156:] + END)


def test_negative_sizes_and_owners_are_refused() -> None:
    minus = b"\xff" * 12
    assert "negative" in refused(header(b"n", size=minus) + END)
    assert "negative" in refused(header(b"n", uid=minus[:8]) + END)
    assert "malformed" in refused(header(b"n", size=b"-1") + END)


def test_a_block_of_zeros_among_entries_is_refused() -> None:
    assert "zeros among" in refused(header(b"a") + bytes(512) + header(b"b") + END)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000644\0", 0o644),
        (b"    644 ", 0o644),
        (b"644\0\0\0\0\0", 0o644),
        (b"00000644", 0o644),
        (b"644\0junk", 0o644),
        (b"\0" * 8, 0),
        (b" " * 8, 0),
        (b"\x80" + b"\0" * 6 + b"\x05", 5),
        (b"\x80\0\0\0\xff\xff\xff\xff", 0xFFFFFFFF),
        (b"\xff" * 8, -1),
        (b"\xff" * 7 + b"\x00", -256),
        (b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7, (1 << 63) - 1),
    ],
)
def test_numbers_in_every_form(field: bytes, value: int) -> None:
    assert number(field) == value


@pytest.mark.parametrize(
    "field", [b"-0000001", b"0x00010\0", b"1_000000", b"00000008", b"+000001\0", b"\x80\x01" + b"\0" * 10]
)
def test_what_is_no_number_is_refused(field: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        number(field)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"1", 10**9),
        (b"0.000000001", 1),
        (b"1.5", 1_500_000_000),
        (b"-1.5", -1_500_000_000),
        (b"-0.5", -500_000_000),
        (b"1234567890.123456789", 1234567890_123456789),
        (b"1.1234567899", 1_123456789),
        (b"-1.0000000001", -1_000000001),
        (b"1.", 10**9),
        (b".5", 500_000_000),
    ],
)
def test_times_are_exact_to_the_nanosecond(text: bytes, value: int) -> None:
    assert nanoseconds(text) == value


@pytest.mark.parametrize("text", [b"", b"-", b"1 ", b"+1", b"1" * 20, b"0x1"])
def test_what_is_no_decimal_number_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        decimal(text)


def sparse_file(form: str, pieces: list[tuple[int, bytes]], size: int) -> bytes:
    """A sparse file in each of GNU tar's forms."""
    data = b"".join(data for _, data in pieces)
    if form == "old":
        entries = b"".join(octal(offset, 12) + octal(len(data), 12) for offset, data in pieces)
        rest = bytes(41) + entries[:96].ljust(96, b"\0") + (b"\1" if len(entries) > 96 else b"\0") + octal(size, 12)
        block = header(b"sparse", b"S", size=len(data), magic=b"ustar  \0", rest=rest)
        entries = entries[96:]
        while entries:
            block += entries[:504].ljust(504, b"\0") + (b"\1" if len(entries) > 504 else b"\0") + bytes(7)
            entries = entries[504:]
        return block + padded(data)
    if form == "0.0":
        records = record(b"GNU.sparse.size", b"%d" % size) + record(b"GNU.sparse.numblocks", b"%d" % len(pieces))
        for offset, part in pieces:
            records += record(b"GNU.sparse.offset", b"%d" % offset) + record(b"GNU.sparse.numbytes", b"%d" % len(part))
        return pax(records) + member(b"sparse", data)
    if form == "0.1":
        text = b",".join(b"%d,%d" % (offset, len(part)) for offset, part in pieces)
        records = record(b"GNU.sparse.size", b"%d" % size) + record(b"GNU.sparse.map", text)
        return pax(records + record(b"GNU.sparse.name", b"sparse")) + member(b"GNUSparseFile.1/sparse", data)
    text = b"%d\n" % len(pieces) + b"".join(b"%d\n%d\n" % (offset, len(part)) for offset, part in pieces)
    records = record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0")
    records += record(b"GNU.sparse.name", b"sparse") + record(b"GNU.sparse.realsize", b"%d" % size)
    return pax(records) + member(b"GNUSparseFile.1/sparse", padded(text) + data)


@pytest.mark.parametrize("form", ["old", "0.0", "0.1", "1.0"])
@pytest.mark.parametrize("count", [1, 4, 5, 25, 26, 100])
def test_sparse_files_in_every_form(form: str, count: int) -> None:
    pieces = [(1000 * at, b"%d" % at * 10) for at in range(1, count + 1)]
    expected = bytearray(200_000)
    for offset, data in pieces:
        expected[offset : offset + len(data)] = data
    found = read(sparse_file(form, pieces, 200_000) + member(b"next", b"data") + END)
    assert [(entry.name, data) for entry, data in found] == [(b"sparse", bytes(expected)), (b"next", b"data")]


@pytest.mark.parametrize("form", ["old", "0.0", "0.1", "1.0"])
@pytest.mark.parametrize(
    ("pieces", "size"),
    [
        ([(100, b"a" * 50), (120, b"b" * 50)], 1000),
        ([(100, b"a" * 50), (0, b"b" * 50)], 1000),
        ([(100, b"a" * 50)], 149),
        ([((1 << 33) - 1, b"a")], 10),
    ],
)
def test_sparse_files_whose_pieces_overlap_or_lie_outside_are_refused(
    form: str, pieces: list[tuple[int, bytes]], size: int
) -> None:
    assert "overlap or lie outside" in refused(sparse_file(form, pieces, size) + END)


@pytest.mark.parametrize("records", [
    {b"GNU.sparse.map": b"0,5", b"GNU.sparse.size": b"10"},
    {b"GNU.sparse.map": b"0,4,9", b"GNU.sparse.size": b"10"},
    {b"GNU.sparse.map": b"0,4"},
    {b"GNU.sparse.map": b"0,-4", b"GNU.sparse.size": b"10"},
    {b"GNU.sparse.map": b"a,b", b"GNU.sparse.size": b"10"},
    {b"GNU.sparse.major": b"2", b"GNU.sparse.minor": b"0", b"GNU.sparse.size": b"10"},
    {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"10"},
])  # fmt: skip
def test_malformed_maps_are_refused(records: dict[bytes, bytes]) -> None:
    refused(pax(records) + member(b"sparse", b"data") + END)


def test_a_map_of_more_pieces_than_allowed_is_refused_before_it_is_read() -> None:
    records: dict[bytes, bytes] = {
        b"GNU.sparse.major": b"1",
        b"GNU.sparse.minor": b"0",
        b"GNU.sparse.realsize": b"10",
    }
    assert "too many pieces" in refused(pax(records) + member(b"sparse", padded(b"9999999\n")) + END)


def test_bytes_that_are_no_archive_are_refused() -> None:
    for junk in (b"a", b"\n" * 512, os.urandom(5000), b"\0" * 511):
        refused(junk)


def kinds(entry: Entry) -> Any:
    return entry.kind, entry.major, entry.minor


def test_device_numbers_are_read_from_header_and_records() -> None:
    assert kinds(one(header(b"d", b"3", major=4, minor=5) + END)) == (0x33, 4, 5)
    archive = pax({b"SCHILY.devmajor": b"259", b"SCHILY.devminor": b"1048575"}) + header(b"d", b"4") + END
    assert kinds(one(archive)) == (0x34, 259, 1048575)
