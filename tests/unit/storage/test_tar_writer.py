"""Archives are the same bytes for the same entries, and other programs read them."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orlop.errors import OrlopError, Unsupported
from orlop.storage.layers import tar_writer
from orlop.storage.layers.tar_writer import Entry, TarWriter

if TYPE_CHECKING:
    from pathlib import Path


class Memory:
    def __init__(self) -> None:
        self.content = b""

    def write(self, data: bytes | memoryview) -> None:
        self.content += data


def archive(*entries: tuple[Entry, bytes]) -> bytes:
    sink = Memory()
    writer = TarWriter(sink)
    for entry, data in entries:
        writer.add(entry, data)
    writer.finish()
    assert writer.written == len(sink.content)
    return sink.content


def read(content: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content), encoding="utf-8", errors="surrogateescape") as opened:
        return opened.getmembers()


def test_an_entry_that_a_plain_header_can_hold_has_no_other() -> None:
    content = archive((Entry(b"etc/passwd", tar_writer.FILE, mode=0o100644, uid=1, gid=2, mtime=3 * 10**9), b"root\n"))
    assert len(content) == 512 + 512 + 1024
    assert content[:157] == (
        b"etc/passwd".ljust(100, b"\0")
        + b"0000644\x000000001\x000000002\x0000000000005\x0000000000003\x00"
        + content[148:156]
        + b"0"
    )
    assert content[257:345] == b"ustar\x0000".ljust(72, b"\0") + b"0000000\x000000000\x00"
    assert content[512:] == b"root\n".ljust(1536, b"\0")


def test_an_empty_archive_is_the_one_that_docker_knows() -> None:
    from orlop.storage import digest

    assert digest.of(archive()) == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


@settings(deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=200).filter(lambda name: not {0, 47} & set(name)), min_size=1, max_size=3),
    st.integers(-(10**18), 10**19),
    st.integers(0, 2**32 - 2),
    st.dictionaries(st.sampled_from([b"user.a", "user.ä".encode(), b"user.\xff"]), st.binary(max_size=2000)),
)
def test_what_goes_in_comes_out(parts: list[bytes], mtime: int, owner: int, attributes: dict[bytes, bytes]) -> None:
    path = b"/".join(b"_" + part for part in parts)
    entry = Entry(path, tar_writer.SYMBOLIC_LINK, mode=0o777, uid=owner, gid=owner, mtime=mtime, link=path)
    entry.attributes = attributes
    content = archive((entry, b""), (Entry(b"after", tar_writer.FILE, mode=0), b"it"))
    found, after = read(content)
    assert os.fsencode(found.name) == path
    assert os.fsencode(found.linkname) == path
    assert (found.uid, found.gid) == (owner, owner)
    assert after.name == "after"
    stated = found.pax_headers.get("mtime", str(found.mtime))
    whole, _, fraction = stated.lstrip("-").partition(".")
    assert (int(whole) * 10**9 + int(fraction.ljust(9, "0"))) * (-1 if stated.startswith("-") else 1) == mtime
    known = {
        os.fsencode(key)[13:]: value for key, value in found.pax_headers.items() if key.startswith("SCHILY.xattr.")
    }
    assert {key: value.encode("utf-8", "surrogateescape") for key, value in known.items()} == attributes


@pytest.mark.parametrize("length", [99, 100, 101, 155, 156, 157, 254, 255, 256, 300])
@pytest.mark.parametrize("kind", [tar_writer.FILE, tar_writer.DIRECTORY])
def test_long_names_are_whole_in_every_reader(length: int, kind: bytes, tmp_path: Path) -> None:
    for name in (b"d/" * (length // 2) + b"e" * (length % 2 + 1), b"a" * 90 + b"/" + b"b" * (length - 91)):
        content = archive((Entry(name, kind, mode=0o755), b""))
        assert read(content)[0].name == name.decode()
        listed = subprocess.run(["tar", "-tf", "-"], input=content, capture_output=True, check=True).stdout
        assert listed == name + (b"/\n" if kind == tar_writer.DIRECTORY else b"\n")


def test_the_root_directory_is_named_as_tar_names_it() -> None:
    assert archive((Entry(b"", tar_writer.DIRECTORY, mode=0o755), b"")).startswith(b"./\0")


def test_a_size_that_a_plain_header_cannot_hold_is_a_record() -> None:
    entry = Entry(b"large", tar_writer.FILE, mode=0o644, size=9 << 30)
    block = tar_writer.header(entry)
    assert b"19 size=9663676416\n" in block
    assert tarfile.TarInfo.frombuf(block[-512:], "utf-8", "strict").size == 0


def test_devices_have_their_numbers() -> None:
    device = os.makedev(4095, 1048575)
    found = read(archive((Entry(b"disk", tar_writer.BLOCK_DEVICE, mode=0o600 | stat.S_IFBLK, device=device), b"")))[0]
    assert (found.type, found.devmajor, found.devminor, found.mode) == (tarfile.BLKTYPE, 4095, 1048575, 0o600)


def test_an_attribute_that_no_archive_can_name_is_refused() -> None:
    with pytest.raises(Unsupported, match=r"user\.a=b of /x cannot be written to an archive.*setfattr -x"):
        archive((Entry(b"x", tar_writer.FILE, mode=0, attributes={b"user.a=b": b""}), b""))


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, (1 << 20) - 512, 1 << 20, (5 << 20) + 7])
@pytest.mark.parametrize("direct", [False, True], ids=["through memory", "inside the kernel"])
def test_files_of_every_size_come_from_a_descriptor(size: int, direct: bool, tmp_path: Path) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    source = os.open(tmp_path / "file", os.O_RDONLY)
    target = os.open(tmp_path / "archive", os.O_WRONLY | os.O_CREAT)
    memory = Memory()
    try:
        writer = TarWriter(tar_writer.Descriptor(target) if direct else memory)
        writer.add(Entry(b"before", tar_writer.FILE, mode=0o600), b"1")
        writer.add_from(Entry(b"file", tar_writer.FILE, mode=0o600, size=size), source)
        writer.add(Entry(b"after", tar_writer.FILE, mode=0o600), b"2")
        writer.finish()
    finally:
        os.close(source)
        os.close(target)
    content = (tmp_path / "archive").read_bytes() if direct else memory.content
    assert writer.written == len(content)
    assert [member.name for member in read(content)] == ["before", "file", "after"]
    assert content[1536 : 1536 + size] == data


@pytest.mark.parametrize("size", [10, 3 << 20])
@pytest.mark.parametrize("direct", [False, True], ids=["through memory", "inside the kernel"])
def test_a_file_that_became_shorter_is_filled_up_or_refused(size: int, direct: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * (size // 2))
    target = os.open(tmp_path / "archive", os.O_RDWR | os.O_CREAT)
    source = os.open(tmp_path / "file", os.O_RDONLY)
    memory = Memory()
    try:
        writer = TarWriter(tar_writer.Descriptor(target) if direct else memory)
        writer.add_from(Entry(b"file", tar_writer.FILE, mode=0, size=size), source, may_change=True)
        os.lseek(source, 0, os.SEEK_SET)
        with pytest.raises(OrlopError, match=f"/again became {size - size // 2} bytes shorter while it was archived"):
            TarWriter(Memory()).add_from(Entry(b"again", tar_writer.FILE, mode=0, size=size), source)
        writer.finish()
    finally:
        os.close(source)
        os.close(target)
    content = (tmp_path / "archive").read_bytes() if direct else memory.content
    assert [(member.name, member.size) for member in read(content)] == [("file", size)]
    assert content[512 : 512 + size] == (b"x" * (size // 2)).ljust(size, b"\0")


def test_a_pipe_that_does_not_block_is_waited_for(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "file").write_bytes(data)
    source = os.open(tmp_path / "file", os.O_RDONLY)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with (tmp_path / "copy").open("wb") as copy, subprocess.Popen(["cat"], stdin=reader, stdout=copy):
        os.close(reader)
        sink = tar_writer.Descriptor(writer)
        sink.write(data)
        assert sink.copy(source, len(data) + 1) == len(data)
        os.close(writer)
    os.close(source)
    assert (tmp_path / "copy").read_bytes() == data + data
