from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import pytest

from orlop.errors import NotFound, OrlopError
from orlop.storage import collect
from orlop.storage.collect import Marked
from orlop.storage.snapshots.interface import ACTIVE, COMMITTED, VIEW, Info, Snapshots, Usage
from orlop.storage.store import Storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


A, B, C, D, E, F = (f"sha256:{letter * 64}" for letter in "abcdef")


class ListedSnapshots(Snapshots):
    """Snapshots that are a list: names, kinds and parents, which is all that a sweep looks at."""

    def __init__(self) -> None:
        self.infos: dict[str, Info] = {}
        self.is_clean = False

    def add(self, name: str, parent: str = "", kind: str = COMMITTED) -> None:
        self.infos[name] = Info(name, kind, parent, 0)

    def walk(self) -> Iterator[Info]:
        return iter(list(self.infos.values()))

    def usage(self, name: str) -> Usage:
        if name not in self.infos:
            raise NotFound(name)
        return Usage(1000, 1)

    def discard(self, names: Iterable[str]) -> list[str]:
        gone = list(names)
        for name in gone:
            del self.infos[name]
        assert all(info.parent in ("", *self.infos) for info in self.infos.values()), "a parent was taken away"
        return gone

    def cleanup(self) -> None:
        self.is_clean = True


class Store(Storage):
    """A store with real blobs and leases, and listed snapshots."""

    __slots__ = ("listed",)

    def __init__(self, root: str) -> None:
        super().__init__(root, rootless=False)
        self.listed = ListedSnapshots()
        self._snapshots = self.listed


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    storage = Store(str(tmp_path))
    storage.prepare()
    return storage


def nothing() -> Marked:
    return Marked()


def test_blobs_that_nothing_refers_to_are_taken_away(store: Store) -> None:
    needed, useless = store.blobs.write(b"needed"), store.blobs.write(b"useless" * 1000)
    swept = collect.sweep(store, lambda: Marked(blobs=[needed]))
    assert swept.blobs == [useless]
    assert swept.bytes >= 7000
    assert [digest for digest, _ in store.blobs.walk()] == [needed]
    assert os.listdir(store.blobs.trash) == []


def test_a_swept_store_has_nothing_to_sweep(store: Store) -> None:
    store.blobs.write(b"useless")
    store.listed.add(A)
    collect.sweep(store, nothing)
    swept = collect.sweep(store, nothing)
    assert (swept.blobs, swept.snapshots, swept.bytes) == ([], [], 0)


def test_a_store_that_was_never_used_has_nothing_to_sweep(tmp_path: Path) -> None:
    swept = collect.sweep(Store(str(tmp_path / "none")), nothing, everything=True)
    assert (swept.blobs, swept.snapshots, swept.bytes) == ([], [], 0)


def test_what_a_lease_holds_stays(store: Store) -> None:
    store.listed.add(A)
    store.listed.add(B, A)
    with store.leases.take() as lease:
        digest = store.blobs.write(b"held", lease)
        with store.blobs.writer() as writer:
            writer.write(b"written")
            written, _ = writer.commit(lease)
        lease.hold_snapshot(B)
        swept = collect.sweep(store, nothing)
        assert (swept.blobs, swept.snapshots) == ([], [])
    swept = collect.sweep(store, nothing)
    assert set(swept.blobs) == {digest, written}
    assert set(swept.snapshots) == {A, B}


def test_what_is_published_when_a_lease_ends_is_seen_though_the_sweep_began_before(store: Store) -> None:
    lease = store.leases.take()
    digest = store.blobs.write(b"pulled", lease)
    published: list[str] = []
    calls: list[int] = []

    def mark() -> Marked:
        marked = Marked(blobs=published)  # read before the image is published
        if calls:
            published.append(digest)
            lease.release()
        calls.append(1)
        return marked

    store.blobs.write(b"so that there is something to sweep")
    swept = collect.sweep(store, mark)
    assert len(calls) == 2
    assert digest not in swept.blobs
    assert store.blobs.has(digest)


def test_what_is_added_while_a_sweep_looks_around_stays(store: Store) -> None:
    old = store.blobs.write(b"old")
    new: list[str] = []

    def mark() -> Marked:
        if not new:
            new.append(store.blobs.write(b"new"))
        return nothing()

    assert collect.sweep(store, mark).blobs == [old]
    assert store.blobs.has(new[0])


def test_what_is_held_while_a_sweep_looks_around_stays(store: Store) -> None:
    digest = store.blobs.write(b"useless, but somebody pulls it just now")
    store.listed.add(A)
    lease = store.leases.take()
    calls: list[int] = []

    def mark() -> Marked:
        if not calls:
            lease.hold(digest)
            lease.hold_snapshot(A)
        calls.append(1)
        return nothing()

    swept = collect.sweep(store, mark)
    assert (swept.blobs, swept.snapshots) == ([], [])
    lease.release()


def test_what_needs_are_not_known_is_not_swept(store: Store) -> None:
    store.blobs.write(b"perhaps needed")

    def mark() -> Marked:
        raise OrlopError("a record is damaged")

    with pytest.raises(OrlopError, match="a record is damaged"):
        collect.sweep(store, mark)
    assert len(list(store.blobs.walk())) == 1


def test_parents_of_what_is_needed_stay(store: Store) -> None:
    for name, parent in ((A, ""), (B, A), (C, B), (D, C), (E, A), (F, E)):
        store.listed.add(name, parent)
    store.listed.add("container", E, ACTIVE)
    swept = collect.sweep(store, lambda: Marked(snapshots=[C]))
    assert set(swept.snapshots) == {D, F}


@pytest.mark.parametrize("kind", [ACTIVE, VIEW])
def test_what_can_be_written_or_seen_and_all_below_it_stays(store: Store, kind: str) -> None:
    store.listed.add(A)
    store.listed.add(B, A)
    store.listed.add("container", B, kind)
    assert collect.sweep(store, nothing).snapshots == []


def test_what_a_killed_operation_was_unpacking_is_taken_away(store: Store) -> None:
    store.listed.add(A)
    lease = store.leases.take()
    key = lease.temporary_key()
    store.listed.add(key, A, ACTIVE)
    assert collect.sweep(store, nothing).snapshots == []
    lease.release()
    assert set(collect.sweep(store, nothing, snapshots=[A]).snapshots) == {key, A}


def test_a_sweep_can_be_limited(store: Store) -> None:
    store.listed.add(A)
    store.listed.add(B, A)
    one, other = store.blobs.write(b"one"), store.blobs.write(b"other")
    gone = "sha256:" + "0" * 64
    swept = collect.sweep(store, nothing, blobs=[one, gone], snapshots=[B, gone])
    assert (swept.blobs, swept.snapshots) == ([one], [B])
    swept = collect.sweep(store, nothing, blobs=[], snapshots=[])
    assert (swept.blobs, swept.snapshots) == ([], [])
    assert store.blobs.has(other)


def test_freed_bytes_are_those_of_blobs_and_snapshots(store: Store) -> None:
    store.listed.add(A)
    store.listed.add(B)
    digest = store.blobs.write(b"x" * 10_000)
    size = os.stat(store.blobs.path(digest)).st_blocks * 512
    assert collect.sweep(store, nothing).bytes == 2000 + size


def test_the_trash_of_a_killed_sweep_is_emptied_by_the_next(store: Store) -> None:
    store.blobs.set_aside(store.blobs.write(b"x" * 10_000))
    collect.sweep(store, nothing)
    assert os.listdir(store.blobs.trash) == []
    assert store.listed.is_clean


def test_a_sweep_that_is_not_to_finish_says_what_will_be_freed_and_leaves_that_out_of_sight(store: Store) -> None:
    digest = store.blobs.write(b"x" * 10_000)
    swept = collect.sweep(store, nothing, finished=False)
    assert (swept.blobs, swept.bytes >= 10_000) == ([digest], True)
    assert not store.blobs.has(digest)
    assert len(os.listdir(store.blobs.trash)) == 1
    collect.finish(store)
    assert os.listdir(store.blobs.trash) == []


def test_interrupted_downloads_are_kept_for_a_day(store: Store) -> None:
    digest = "sha256:" + hashlib.sha256(b"content").hexdigest()
    ingest = store.blobs.ingest(digest)
    assert ingest is not None
    with ingest:
        ingest.write(b"cont")
    collect.sweep(store, nothing)
    (name,) = os.listdir(store.blobs.ingests)
    yesterday = time.time() - 25 * 60 * 60
    os.utime(f"{store.blobs.ingests}/{name}", (yesterday, yesterday))
    collect.sweep(store, nothing)
    assert os.listdir(store.blobs.ingests) == []


def test_a_sweep_of_everything_takes_interrupted_downloads_however_new(store: Store) -> None:
    digest = "sha256:" + hashlib.sha256(b"content").hexdigest()
    ingest = store.blobs.ingest(digest)
    assert ingest is not None
    with ingest:
        ingest.write(b"cont")
        assert len(os.listdir(store.blobs.ingests)) == 1
        collect.sweep(store, nothing, everything=True)
        assert len(os.listdir(store.blobs.ingests)) == 1
    collect.sweep(store, nothing, everything=True)
    assert os.listdir(store.blobs.ingests) == []
