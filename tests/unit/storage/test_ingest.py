from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.errors import DigestMismatch, InsufficientSpace
from orlop.storage import ingest as ingests
from orlop.storage.blobs import Blobs

if TYPE_CHECKING:
    from orlop.storage.ingest import Ingest

SOURCE = Path(__file__).parents[3] / "src"
DATA = b"".join(hashlib.sha512(b"%d" % number).digest() for number in range(40_000))  # 2.5 MB
DIGEST = "sha256:" + hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """An empty blob store."""
    store = Blobs(str(tmp_path / "images"))
    store.prepare()
    return store


def begin(blobs: Blobs, size: int = len(DATA)) -> Ingest:
    ingest = blobs.ingest(DIGEST, size)
    assert ingest is not None
    return ingest


def interrupted_after(blobs: Blobs, data: bytes) -> None:
    """Leave a fetch in the middle, as a broken connection does."""
    with begin(blobs, -1) as ingest:
        ingest.write(data)


def python(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Another process that works on the same store."""
    prelude = (
        f"import os, sys; sys.path.insert(0, {str(SOURCE)!r})\n"
        "from orlop.storage.blobs import Blobs\n"
        "blobs = Blobs(sys.argv[1])\n"
    )
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", prelude + code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_a_blob_is_there_after_its_commit_and_not_before(blobs: Blobs) -> None:
    with begin(blobs) as ingest:
        assert ingest.offset == 0
        for start in range(0, len(DATA), 100_000):
            ingest.write(DATA[start : start + 100_000])
            assert not blobs.has(DIGEST)
        ingest.commit()
    assert blobs.read(DIGEST) == DATA
    assert os.listdir(blobs.ingests) == []
    assert blobs.ingest(DIGEST, len(DATA)) is None


def test_a_blob_without_content_can_be_fetched(blobs: Blobs) -> None:
    empty = "sha256:" + hashlib.sha256(b"").hexdigest()
    ingest = blobs.ingest(empty, 0)
    assert ingest is not None
    with ingest:
        ingest.commit()
    assert blobs.read(empty) == b""


def test_an_interrupted_fetch_goes_on_where_it_ended(blobs: Blobs) -> None:
    interrupted_after(blobs, DATA[:1_234_567])
    with begin(blobs) as ingest:
        assert ingest.offset == 1_234_567
        ingest.write(DATA[ingest.offset :])
        ingest.commit()
    assert blobs.read(DIGEST) == DATA


def test_a_server_without_ranges_begins_anew(blobs: Blobs) -> None:
    interrupted_after(blobs, DATA[:1_234_567])
    with begin(blobs) as ingest:
        ingest.restart()
        assert ingest.offset == 0
        ingest.write(DATA)
        ingest.commit()
    assert blobs.read(DIGEST) == DATA


def test_a_restart_leaves_nothing_of_what_was_longer(blobs: Blobs) -> None:
    interrupted_after(blobs, b"wrong" * 1_000_000)
    with begin(blobs, -1) as ingest:
        ingest.restart()
        ingest.write(DATA)
        ingest.commit()
    assert blobs.size(DIGEST) == len(DATA)


@pytest.mark.parametrize("size", [-1, len(DATA)])
def test_a_fetch_that_was_killed_before_its_commit_is_finished_without_fetching(blobs: Blobs, size: int) -> None:
    interrupted_after(blobs, DATA)
    assert blobs.ingest(DIGEST, size) is None
    assert blobs.read(DIGEST) == DATA


@pytest.mark.parametrize("wrong", [b"x" * len(DATA), b"x" * (len(DATA) + 1)])
def test_what_cannot_become_the_blob_is_not_resumed(blobs: Blobs, wrong: bytes) -> None:
    interrupted_after(blobs, wrong)
    with begin(blobs) as ingest:
        assert ingest.offset == 0
        ingest.write(DATA)
        ingest.commit()
    assert blobs.read(DIGEST) == DATA


def test_wrong_content_is_refused_and_never_resumed(blobs: Blobs) -> None:
    with begin(blobs) as ingest:
        ingest.write(b"x" * len(DATA))
        with pytest.raises(DigestMismatch, match=f"for the blob {DIGEST} has the digest sha256:"):
            ingest.commit()
        assert ingest.offset == 0
    assert list(blobs.walk()) == []
    assert os.listdir(blobs.ingests) == []
    with begin(blobs) as ingest:
        assert ingest.offset == 0


def test_after_wrong_content_the_same_fetch_can_try_another_server(blobs: Blobs) -> None:
    with begin(blobs, -1) as ingest:
        ingest.write(b"from a mirror that lies" * 200_000)
        with pytest.raises(DigestMismatch):
            ingest.commit()
        ingest.write(DATA)
        ingest.commit()
    assert blobs.read(DIGEST) == DATA


def test_more_than_was_declared_is_refused_at_once(blobs: Blobs) -> None:
    with begin(blobs, 1000) as ingest:
        ingest.write(DATA[:1000])
        with pytest.raises(DigestMismatch, match="larger than the 1000 bytes"):
            ingest.write(DATA[1000:1001])
    assert os.listdir(blobs.ingests) == []


def test_less_than_was_declared_is_refused(blobs: Blobs) -> None:
    with begin(blobs) as ingest:
        ingest.write(DATA[:1000])
        with pytest.raises(DigestMismatch, match=f"has 1000 bytes where {len(DATA)} were declared"):
            ingest.commit()
    assert os.listdir(blobs.ingests) == []


def test_sizes_count_bytes_whatever_holds_them(blobs: Blobs) -> None:
    words = memoryview(DATA).cast("I")
    with begin(blobs) as ingest:
        ingest.write(words)
        assert ingest.offset == len(DATA)
        ingest.commit()
    assert blobs.read(DIGEST) == DATA


def test_a_size_that_no_disk_has_is_refused_before_anything_is_fetched(blobs: Blobs) -> None:
    with pytest.raises(InsufficientSpace, match="it needs .* bytes and .* are free"):
        blobs.ingest(DIGEST, 1 << 60)
    assert os.listdir(blobs.ingests) == []


def test_a_blob_of_another_size_than_declared_is_refused_if_it_is_whole(blobs: Blobs) -> None:
    blobs.write(DATA)
    with pytest.raises(DigestMismatch, match=f"has {len(DATA)} bytes, not 7"):
        blobs.ingest(DIGEST, 7)
    assert blobs.has(DIGEST)


def test_a_blob_that_became_shorter_is_fetched_again(blobs: Blobs) -> None:
    blobs.write(DATA)
    os.truncate(blobs.path(DIGEST), 7)
    with begin(blobs) as ingest:
        assert ingest.offset == 0
        ingest.write(DATA)
        ingest.commit()
    assert blobs.read(DIGEST) == DATA


def test_ending_twice_is_all_right(blobs: Blobs) -> None:
    with begin(blobs) as ingest:
        ingest.write(DATA)
        ingest.commit()
        ingest.close()
    ingest.close()
    assert blobs.has(DIGEST)


def test_a_fetch_survives_that_somebody_cleared_the_directory(blobs: Blobs) -> None:
    with begin(blobs):
        os.unlink(f"{blobs.ingests}/{DIGEST.replace(':', '-')}")
    os.rmdir(blobs.ingests)
    with begin(blobs) as ingest:
        ingest.write(DATA)
        ingest.commit()
    assert blobs.read(DIGEST) == DATA


def test_threads_that_want_one_blob_fetch_it_once(blobs: Blobs) -> None:
    fetched = []
    together = threading.Barrier(8)

    def fetch() -> None:
        together.wait()
        ingest = blobs.ingest(DIGEST, len(DATA))
        if ingest is not None:
            with ingest:
                fetched.append(ingest.offset)
                for start in range(0, len(DATA), 100_000):
                    ingest.write(DATA[start : start + 100_000])
                ingest.commit()
        assert blobs.read(DIGEST) == DATA

    threads = [threading.Thread(target=fetch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched == [0]
    assert os.listdir(blobs.ingests) == []


def test_a_thread_that_waits_goes_on_where_the_first_gave_up(blobs: Blobs) -> None:
    ingest = begin(blobs)
    offsets = []

    def fetch() -> None:
        with begin(blobs) as second:
            offsets.append(second.offset)

    thread = threading.Thread(target=fetch)
    with ingest:
        thread.start()
        ingest.write(DATA[:1000])
    thread.join()
    assert offsets == [1000]


def test_who_waits_is_asked_whether_to_go_on(blobs: Blobs) -> None:
    asked = []

    def waiting() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise InterruptedError

    with begin(blobs) as ingest:
        with pytest.raises(InterruptedError):
            blobs.ingest(DIGEST, waiting=waiting)
        ingest.write(DATA)
        ingest.commit()
    assert blobs.ingest(DIGEST, waiting=waiting) is None
    assert len(asked) == 2


def test_who_is_asked_while_waiting_gets_the_blob_all_the_same(blobs: Blobs) -> None:
    ingest = begin(blobs)
    ingest.write(DATA)
    assert blobs.ingest(DIGEST, waiting=ingest.commit) is None
    assert blobs.read(DIGEST) == DATA


FETCH_ONCE = """
content = open(sys.argv[3], "rb").read()
sys.stdin.readline()
ingest = blobs.ingest(sys.argv[2], len(content))
if ingest is None:
    print("waited")
else:
    with ingest:
        print("fetched")
        for start in range(0, len(content), 65536):
            ingest.write(content[start : start + 65536])
        ingest.commit()
with open(blobs.path(sys.argv[2]), "rb") as file:
    assert file.read() == content
"""


def test_processes_that_want_one_blob_fetch_it_once(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(DATA)
    processes = [python(FETCH_ONCE, blobs.directory, DIGEST, str(tmp_path / "content")) for _ in range(6)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 6
    assert sorted(said) == [b"fetched"] + [b"waited"] * 5


FETCH_HALF = """
ingest = blobs.ingest(sys.argv[2])
ingest.write(sys.stdin.buffer.read(1_000_000))
print("half", flush=True)
sys.stdin.buffer.read(1)
"""


def test_what_a_killed_fetcher_got_is_used_by_who_waited_for_it(blobs: Blobs) -> None:
    process = python(FETCH_HALF, blobs.directory, DIGEST)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(DATA[:1_000_000])
    process.stdin.flush()
    assert process.stdout.readline() == b"half\n"
    results = []

    def fetch() -> None:
        with begin(blobs) as ingest:
            results.append(ingest.offset)
            ingest.write(DATA[ingest.offset :])
            ingest.commit()

    thread = threading.Thread(target=fetch)
    thread.start()
    process.kill()
    process.communicate()
    thread.join(60)
    assert results == [1_000_000]
    assert blobs.read(DIGEST) == DATA


FETCH_UNTIL_KILLED = """
content = open(sys.argv[3], "rb").read()
ingest = blobs.ingest(sys.argv[2], len(content))
print("begun", flush=True)
if ingest is not None:
    for start in range(ingest.offset, len(content), 1009):
        ingest.write(content[start : start + 1009])
    ingest.commit()
print("done", flush=True)
"""


def test_a_fetch_that_is_killed_at_any_moment_is_whole_in_the_end(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(DATA)
    for attempt in range(12):
        process = python(FETCH_UNTIL_KILLED, blobs.directory, DIGEST, str(tmp_path / "content"))
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(attempt * 0.0007)  # not to wait for something: to be at another line each time
        process.kill()
        process.communicate()
        if blobs.has(DIGEST):
            assert blobs.read(DIGEST) == DATA
    last = python(FETCH_UNTIL_KILLED, blobs.directory, DIGEST, str(tmp_path / "content"))
    assert last.communicate(timeout=60)[0] == b"begun\ndone\n"
    assert blobs.read(DIGEST) == DATA
    assert os.listdir(blobs.ingests) == []


def test_a_child_forked_meanwhile_does_not_keep_others_waiting(blobs: Blobs) -> None:
    read_end, write_end = os.pipe()
    with begin(blobs) as ingest:
        ingest.write(DATA[:10])
        child = os.fork()
        if child == 0:
            os.close(write_end)
            os.read(read_end, 1)
            os._exit(0)
    try:
        with begin(blobs) as second:
            assert second.offset == 10
    finally:
        os.close(write_end)
        os.close(read_end)
        os.waitpid(child, 0)


def test_a_child_that_leaves_the_context_does_not_end_its_parents_fetch(blobs: Blobs) -> None:
    with begin(blobs) as ingest, blobs.writer() as writer:
        child = os.fork()
        if child == 0:
            ingest.close()
            writer.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert ingests.sweep(blobs, time.time() + 1) == 0
        ingest.write(DATA)
        ingest.commit()
        writer.write(b"hello")
        assert writer.commit()[1] == 5
    assert blobs.read(DIGEST) == DATA


def test_a_sweep_takes_new_blobs_that_nobody_writes_and_fetches_that_are_old(blobs: Blobs) -> None:
    interrupted_after(blobs, DATA[:1000])
    killed = python("w = blobs.writer(); w.write(b'x' * 9999); os.kill(os.getpid(), 9)", blobs.directory)
    killed.communicate(timeout=60)
    assert len(os.listdir(blobs.ingests)) == 2
    with blobs.writer() as writer:
        writer.write(b"hello")
        assert ingests.sweep(blobs, time.time() - 3600) >= 9999  # the writer's that was killed
        assert len(os.listdir(blobs.ingests)) == 2
        assert ingests.sweep(blobs, time.time() + 1) >= 1000
        assert writer.commit()[1] == 5
    assert os.listdir(blobs.ingests) == []


def test_a_sweep_leaves_what_is_being_fetched_however_old_it_is(blobs: Blobs) -> None:
    with begin(blobs) as ingest:
        ingest.write(DATA[:1000])
        os.utime(f"{blobs.ingests}/{DIGEST.replace(':', '-')}", (0, 0))
        assert ingests.sweep(blobs, time.time()) == 0
        ingest.write(DATA[1000:])
        ingest.commit()
    assert blobs.read(DIGEST) == DATA


def test_sweeps_and_writers_do_not_disturb_each_other(blobs: Blobs) -> None:
    stop = threading.Event()

    def sweep() -> None:
        while not stop.is_set():
            ingests.sweep(blobs, time.time() + 1)

    sweepers = [threading.Thread(target=sweep) for _ in range(2)]
    for sweeper in sweepers:
        sweeper.start()
    try:
        for number in range(60):
            data = b"%d" % number
            assert blobs.read(blobs.write(data)) == data
            wanted = b"ingest %d" % number
            digest = "sha256:" + hashlib.sha256(wanted).hexdigest()
            ingest = blobs.ingest(digest, len(wanted))
            assert ingest is not None
            with ingest:
                ingest.write(wanted)
                ingest.commit()
            assert blobs.read(digest) == wanted
    finally:
        stop.set()
        for sweeper in sweepers:
            sweeper.join()
