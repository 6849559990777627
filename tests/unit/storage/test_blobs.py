from __future__ import annotations

import hashlib
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from orlop.errors import DigestMismatch, InvalidArgument, NotFound, OrlopError
from orlop.storage.blobs import Blobs

if TYPE_CHECKING:
    from pathlib import Path

HELLO = "sha256:" + hashlib.sha256(b"hello").hexdigest()
NOBODY = "sha256:" + "0" * 64


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """An empty blob store."""
    store = Blobs(str(tmp_path / "images"))
    store.prepare()
    return store


def test_a_store_is_an_oci_image_layout_that_only_its_owner_can_look_into(blobs: Blobs) -> None:
    with open(f"{blobs.directory}/oci-layout", encoding="utf-8") as file:
        assert json.load(file) == {"imageLayoutVersion": "1.0.0"}
    assert os.stat(blobs.directory).st_mode & 0o777 == 0o700
    assert blobs.write(b"hello") == HELLO
    assert blobs.path(HELLO) == f"{blobs.directory}/blobs/sha256/{HELLO[7:]}"
    assert os.stat(blobs.path(HELLO)).st_mode & 0o077 == 0


def test_preparing_again_keeps_what_is_there(blobs: Blobs) -> None:
    blobs.write(b"hello")
    blobs.prepare()
    Blobs(blobs.directory).prepare()
    assert blobs.read(HELLO) == b"hello"


def test_a_preparation_that_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "images" / "blobs").mkdir(parents=True)
    store = Blobs(str(tmp_path / "images"))
    store.prepare()
    assert store.read(store.write(b"hello")) == b"hello"


def test_what_was_written_can_be_read_by_its_digest(blobs: Blobs) -> None:
    assert not blobs.has(HELLO)
    assert blobs.write(b"hello") == HELLO
    assert blobs.has(HELLO)
    assert blobs.size(HELLO) == 5
    assert blobs.read(HELLO) == b"hello"
    descriptor = blobs.open(HELLO)
    try:
        assert os.read(descriptor, 10) == b"hello"
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_an_empty_blob_is_a_blob(blobs: Blobs) -> None:
    digest = blobs.write(b"")
    assert digest == "sha256:" + hashlib.sha256(b"").hexdigest()
    assert blobs.read(digest) == b""


def test_writing_the_same_again_changes_nothing(blobs: Blobs) -> None:
    blobs.write(b"hello")
    before = os.stat(blobs.path(HELLO))
    assert blobs.write(b"hello") == HELLO
    assert os.stat(blobs.path(HELLO)).st_ino == before.st_ino
    assert list(blobs.walk()) == [(HELLO, 5)]
    assert os.listdir(blobs.ingests) == []


def test_writing_replaces_a_blob_that_became_shorter(blobs: Blobs) -> None:
    blobs.write(b"hello")
    os.truncate(blobs.path(HELLO), 2)
    blobs.write(b"hello")
    assert blobs.read(HELLO) == b"hello"


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256:",
        "sha256:../../../etc/passwd",
        "sha256:" + "../" * 21 + "x",
        "sha256:" + "0" * 63 + "/",
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 65,
        "sha256:" + "0" * 63 + "\0",
        "sha256:" + "0" * 63 + "\n",
        "sha256:" + "٠" * 64,
        "../sha256:" + "0" * 64,
        "md5:" + "0" * 32,
        "sha512:" + "0" * 64,
        "0" * 64,
    ],
)
def test_no_text_but_a_digest_becomes_a_path(blobs: Blobs, digest: str) -> None:
    for ask in (blobs.path, blobs.has, blobs.size, blobs.open, blobs.read, blobs.ingest, blobs.remove, blobs.verify):
        with pytest.raises(InvalidArgument, match="invalid digest"):
            ask(digest)
    assert os.listdir(blobs.ingests) == []


def test_a_blob_that_is_not_there_is_named_with_its_place(blobs: Blobs) -> None:
    for ask in (blobs.size, blobs.open, blobs.read, blobs.verify):
        with pytest.raises(NotFound, match=f"no blob {NOBODY} in {blobs.directory}"):
            ask(NOBODY)
    assert blobs.remove(NOBODY) == 0
    assert blobs.set_aside(NOBODY) == ""


def test_a_document_is_read_up_to_a_limit_only(blobs: Blobs) -> None:
    digest = blobs.write(b"x" * 100)
    assert len(blobs.read(digest, limit=100)) == 100
    with pytest.raises(OrlopError, match="100 bytes, at most 99 are read"):
        blobs.read(digest, limit=99)


def test_walking_shows_whole_blobs_of_all_algorithms_and_nothing_else(blobs: Blobs) -> None:
    blobs.write(b"hello")
    long = "sha512:" + hashlib.sha512(b"longer").hexdigest()
    ingest = blobs.ingest(long)
    assert ingest is not None
    with ingest:
        ingest.write(b"longer")
        ingest.commit()
    for stray in ("README", "0" * 63, "A" * 64):
        with open(f"{blobs.directory}/blobs/sha256/{stray}", "wb"):
            pass
    with blobs.writer() as writer:
        writer.write(b"half")
        assert sorted(blobs.walk()) == [(HELLO, 5), (long, 6)]


def test_usage_is_what_the_disk_gives_to_all_of_it(blobs: Blobs) -> None:
    assert blobs.usage() == (0, 0)
    digest = blobs.write(os.urandom(100_000))
    count, size = blobs.usage()
    assert count == 1
    assert size == os.stat(blobs.path(digest)).st_blocks * 512
    blobs.set_aside(digest)
    assert blobs.usage() == (0, size)
    assert blobs.empty_trash() == size
    assert blobs.usage() == (0, 0)


def test_removing_frees_what_the_blob_took(blobs: Blobs) -> None:
    digest = blobs.write(os.urandom(100_000))
    assert blobs.remove(digest) >= 100_000
    assert not blobs.has(digest)


def test_who_has_a_blob_open_keeps_it_when_it_is_removed(blobs: Blobs) -> None:
    blobs.write(b"hello")
    descriptor = blobs.open(HELLO)
    try:
        blobs.set_aside(HELLO)
        blobs.empty_trash()
        assert os.read(descriptor, 10) == b"hello"
    finally:
        os.close(descriptor)


def test_a_blob_can_be_set_aside_though_somebody_removed_the_trash(blobs: Blobs) -> None:
    os.rmdir(blobs.trash)
    blobs.write(b"hello")
    assert os.path.exists(blobs.set_aside(HELLO))


def test_verifying_sees_a_single_changed_bit(blobs: Blobs) -> None:
    digest = blobs.write(b"x" * 3_000_000)
    blobs.verify(digest)
    with open(blobs.path(digest), "r+b") as file:
        file.seek(2_500_000)
        file.write(b"y")
    with pytest.raises(DigestMismatch, match=f"{digest} in .* is damaged"):
        blobs.verify(digest)


def test_a_writer_publishes_only_when_it_commits(blobs: Blobs) -> None:
    with blobs.writer() as writer:
        writer.write(b"hel")
        writer.write(bytearray(b"l"))
        writer.write(memoryview(b"o"))
        assert not blobs.has(HELLO)
        assert writer.commit() == (HELLO, 5)
    assert blobs.read(HELLO) == b"hello"
    assert os.listdir(blobs.ingests) == []


def test_a_writer_that_is_left_leaves_nothing(blobs: Blobs) -> None:
    with blobs.writer() as writer:
        writer.write(b"hello")
    assert list(blobs.walk()) == []
    assert os.listdir(blobs.ingests) == []


def test_two_writers_of_the_same_content_are_both_right(blobs: Blobs) -> None:
    with blobs.writer() as one, blobs.writer() as other:
        one.write(b"hello")
        other.write(b"hello")
        assert one.commit() == other.commit() == (HELLO, 5)
    assert os.listdir(blobs.ingests) == []


def test_threads_write_different_blobs_at_the_same_time(blobs: Blobs) -> None:
    contents = [bytes([number]) * 700_001 for number in range(8)]
    written: dict[int, str] = {}

    def write(number: int) -> None:
        with blobs.writer() as writer:
            for start in range(0, 700_001, 65_536):
                writer.write(memoryview(contents[number])[start : start + 65_536])
            written[number] = writer.commit()[0]

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, content in enumerate(contents):
        assert blobs.read(written[number]) == content
