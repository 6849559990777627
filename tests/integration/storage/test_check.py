from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import pytest

from orlop.storage.check import check
from orlop.storage.problem import Needed
from orlop.storage.store import Storage

if TYPE_CHECKING:
    from pathlib import Path

    from orlop.storage.problem import Problem

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
NOTHING = Needed({}, {})


@pytest.fixture(params=["overlay", "vfs"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty store of each driver that works on any file system."""
    store = Storage(str(tmp_path / "root"), rootless=False, driver=request.param)
    store.prepare()
    return store


def chain(storage: Storage, *names: str) -> None:
    """Committed snapshots, each on top of the one before."""
    parent = ""
    for name in names:
        storage.snapshots.prepare("unpack", parent)
        storage.snapshots.commit(name, "unpack")
        parent = name


def place(storage: Storage, name: str) -> str:
    return f"{storage.directory}/snapshots/{storage.snapshots.driver}/{name}"


def texts(problems: list[Problem]) -> list[str]:
    return [str(problem) for problem in problems]


def assert_sound(storage: Storage) -> None:
    assert check(storage, NOTHING) == []


def test_a_sound_store_has_no_problems(storage: Storage) -> None:
    digest = storage.blobs.write(b"content")
    chain(storage, A, B)
    storage.snapshots.prepare("container", B)
    storage.snapshots.view("looking", B)
    seen = []
    needed = Needed({digest: "image x"}, {A: "image x", B: "image x", "container": "container y"})
    assert check(storage, needed, verified=lambda *blob: seen.append(blob)) == []
    assert seen == [(digest, 7)]


def test_a_store_that_was_never_used_has_no_problems(tmp_path: Path) -> None:
    assert check(Storage(str(tmp_path / "none"), rootless=False), NOTHING, repair=True) == []
    assert os.listdir(tmp_path) == []


def test_a_damaged_blob_is_found_and_removed_so_that_it_is_fetched_again(storage: Storage) -> None:
    digest, other = storage.blobs.write(b"content"), storage.blobs.write(b"other")
    path = storage.blobs.path(digest)
    with open(path, "r+b") as file:
        file.write(b"k")
    needed = Needed({digest: "image x"}, {})
    (problem,) = check(storage, needed)
    assert str(problem) == (
        f"blob {digest} is damaged, and image x needs it: "
        "'orlop system check --repair' has it removed; pull or load it again"
    )
    assert (problem.place, problem.repaired) == (path, False)
    assert storage.blobs.has(digest)
    (problem,) = check(storage, needed, repair=True)
    assert problem.repaired
    assert str(problem).endswith("needs it: removed; pull or load it again")
    assert [digest for digest, _ in storage.blobs.walk()] == [other]
    (problem,) = check(storage, needed, repair=True)
    assert str(problem) == f"blob {digest} is missing, and image x needs it: pull or load it again"
    ingest = storage.blobs.ingest(digest, 7)
    assert ingest is not None
    with ingest:
        ingest.write(b"content")
        ingest.commit()
    assert check(storage, needed) == []


def test_among_many_blobs_only_the_damaged_ones_are_removed(storage: Storage) -> None:
    whole = {storage.blobs.write(b"%d" % number) for number in range(40)}
    damaged = {storage.blobs.write(b"x%d" % number) for number in range(3)}
    for digest in damaged:
        os.truncate(storage.blobs.path(digest), 1)
    assert len(check(storage, NOTHING, repair=True)) == 3
    assert {digest for digest, _ in storage.blobs.walk()} == whole


def test_what_is_no_blob_is_removed_from_among_them(storage: Storage) -> None:
    directory = f"{storage.blobs.directory}/blobs/sha256"
    outside = f"{storage.directory}/outside"
    os.mkdir(outside)
    os.symlink(outside, f"{directory}/{'1' * 64}")
    os.mkdir(f"{directory}/{'2' * 64}")
    os.mkfifo(f"{directory}/{'3' * 64}")
    with open(f"{directory}/README", "w", encoding="utf-8"):
        pass
    said = sorted(texts(check(storage, NOTHING)))
    assert len(said) == 4
    assert said[-1] == "blob sha256:README is not named by a digest: 'orlop system check --repair' has it removed"
    assert all("is not a regular file" in text for text in said[:3])
    assert all(problem.repaired for problem in check(storage, NOTHING, repair=True))
    assert os.listdir(directory) == []
    assert os.path.isdir(outside)
    assert_sound(storage)


@pytest.mark.parametrize(("content", "what"), [(None, "is missing"), (b"", "is damaged"), (b"{}", "is damaged")])
def test_the_layouts_version_is_written_anew(storage: Storage, content: bytes | None, what: str) -> None:
    path = f"{storage.blobs.directory}/oci-layout"
    os.unlink(path)
    if content is not None:
        with open(path, "wb") as file:
            file.write(content)
    (problem,) = check(storage, NOTHING, repair=True)
    assert str(problem) == f"file oci-layout {what}: written anew"
    assert_sound(storage)


def test_a_layout_that_another_tool_wrote_is_fine(storage: Storage) -> None:
    with open(f"{storage.blobs.directory}/oci-layout", "w", encoding="utf-8") as file:
        file.write('{\n  "imageLayoutVersion": "1.0.0"\n}\n')
    assert_sound(storage)


def test_directories_that_others_can_enter_are_closed(storage: Storage) -> None:
    os.chmod(storage.blobs.directory, 0o755)
    (problem,) = check(storage, NOTHING, repair=True)
    assert str(problem) == "directory images can be entered by other users (mode 755): closed to them"
    assert os.stat(storage.blobs.directory).st_mode & 0o777 == 0o700


def test_what_was_left_unfinished_is_removed(storage: Storage) -> None:
    content = b"content" * 1000
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    ingest = storage.blobs.ingest(digest)
    assert ingest is not None
    with ingest:
        ingest.write(content[:100])
    assert_sound(storage)  # it can be resumed
    path = f"{storage.blobs.ingests}/{os.listdir(storage.blobs.ingests)[0]}"
    yesterday = time.time() - 25 * 60 * 60
    os.utime(path, (yesterday, yesterday))
    storage.blobs.set_aside(storage.blobs.write(b"removed"))
    assert texts(check(storage, NOTHING)) == [
        f"download {os.path.basename(path)} was left unfinished: 'orlop system check --repair' has it removed",
        "directory trash still holds what was removed (1 files): 'orlop system check --repair' has it emptied",
    ]
    check(storage, NOTHING, repair=True)
    assert os.listdir(storage.blobs.ingests) == []
    assert os.listdir(storage.blobs.trash) == []


def test_a_missing_snapshot_is_found_by_who_needs_it_and_by_what_is_made_upon_it(storage: Storage) -> None:
    chain(storage, A, B)
    os.rename(place(storage, A), f"{storage.directory}/elsewhere")
    assert texts(check(storage, Needed({}, {A: "image x", B: "image x", C: "image z"}), repair=True)) == [
        f"snapshot {B} is made upon {A}, which is missing, and image x needs it: pull or load it again",
        f"snapshot {A} is missing, and image x needs it: pull or load it again",
        f"snapshot {C} is missing, and image z needs it: pull or load it again",
    ]
    assert storage.snapshots.has(B)
    os.rename(f"{storage.directory}/elsewhere", place(storage, A))
    assert_sound(storage)


def test_a_snapshot_whose_tree_is_gone_is_removed_so_that_it_is_unpacked_again(storage: Storage) -> None:
    chain(storage, A, B)
    os.rmdir(f"{place(storage, B)}/fs")
    (problem,) = check(storage, Needed({}, {B: "image x"}))
    assert str(problem) == (
        f"snapshot {B} cannot be mounted (no such file or directory), and image x needs it: "
        "'orlop system check --repair' has it removed; pull or load it again"
    )
    assert check(storage, NOTHING, repair=True)[0].repaired
    assert not storage.snapshots.has(B)
    assert storage.snapshots.has(A)
    assert_sound(storage)


def test_a_damaged_snapshot_that_a_container_is_made_upon_stays(storage: Storage) -> None:
    chain(storage, A)
    storage.snapshots.prepare("container", A)
    os.rmdir(f"{place(storage, A)}/fs")
    (problem,) = check(storage, NOTHING, repair=True)
    assert not problem.repaired
    assert str(problem).endswith("remove what is made upon it (container), and repair again")
    storage.snapshots.remove("container")
    assert check(storage, NOTHING, repair=True)[0].repaired
    assert_sound(storage)


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b"{}", b'{"kind": []}', None])
def test_a_snapshot_that_cannot_tell_what_it_is_is_removed(storage: Storage, record: bytes | None) -> None:
    chain(storage, A, B)
    path = f"{place(storage, B)}/record.json"
    os.unlink(path)
    if record is not None:
        with open(path, "wb") as file:
            file.write(record)
    (problem,) = check(storage, Needed({}, {B: "image x"}))
    assert "has a record that cannot be read, and image x needs it" in str(problem)
    assert check(storage, NOTHING, repair=True)[0].repaired
    assert not storage.snapshots.has(B)
    assert_sound(storage)


def test_a_containers_own_files_are_never_removed(storage: Storage) -> None:
    chain(storage, A)
    storage.snapshots.prepare("container", A)
    with open(f"{place(storage, 'container')}/record.json", "wb"):
        pass
    (problem,) = check(storage, NOTHING, repair=True)
    assert not problem.repaired
    assert "save from there what is needed of it, and remove its container" in str(problem)
    assert os.path.isdir(f"{place(storage, 'container')}/fs")
    storage.snapshots.remove("container")
    assert_sound(storage)


def test_what_a_killed_operation_was_unpacking_is_removed_and_what_a_living_one_is_unpacking_stays(
    storage: Storage,
) -> None:
    living, killed = storage.leases.take(), storage.leases.take()
    left = killed.temporary_key()
    chain(storage, A)
    storage.snapshots.prepare(left, A)
    storage.snapshots.prepare(living.temporary_key())
    assert_sound(storage)
    killed.release()
    (problem,) = check(storage, NOTHING, repair=True)
    assert str(problem) == f"snapshot {left} was left by an operation that was killed: removed"
    assert len(list(storage.snapshots.walk())) == 2
    living.release()


def test_what_a_killed_operation_left_is_removed_though_its_parent_is_gone(storage: Storage) -> None:
    chain(storage, A)
    with storage.leases.take() as lease:
        storage.snapshots.prepare(lease.temporary_key(), A)
    os.rename(place(storage, A), f"{storage.directory}/elsewhere")
    assert [problem.repaired for problem in check(storage, NOTHING, repair=True)] == [True]
    assert list(storage.snapshots.walk()) == []
