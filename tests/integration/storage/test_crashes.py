"""Processes that are killed, and processes that get in each other's way."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import Conflict, NotFound
from orlop.storage import mounts
from orlop.storage.snapshots import directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.storage.snapshots.directory import SnapshotDirectory

FIRST = "sha256:" + "1" * 64
SECOND = "sha256:" + "2" * 64
STORAGE = str(Path(directory.__file__).parents[1])


def child(action: Callable[[], int | None]) -> int:
    """Run ``action`` in a forked process; returns its id."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = action() or 0
        finally:
            os._exit(status)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at(line: int, action: Callable[[], object]) -> bool:
    """Run ``action`` in a process that is killed before the given line of storage's code; False if it got to its end."""

    def run() -> int:
        left = line

        def trace(frame: Any, event: str, _: object) -> Any:
            nonlocal left
            if not frame.f_code.co_filename.startswith(STORAGE):
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        action()
        sys.settrace(None)
        return 0

    status = ended(child(run))
    assert status in {0, -signal.SIGKILL}
    return status != 0


def fill(snapshots: SnapshotDirectory, name: str, parent: str = "") -> None:
    with mounts.attached(snapshots.prepare("filling", parent)) as root:
        for number in range(3):
            Path(f"/proc/self/fd/{root}/{name[-1]}{number}").write_text(name)
    snapshots.commit(name, "filling")


@pytest.mark.parametrize("operation", ["prepare", "commit", "remove", "remove committed", "discard"])
def test_an_operation_that_is_killed_anywhere_has_happened_or_not(snapshots: SnapshotDirectory, operation: str) -> None:
    fill(snapshots, FIRST)
    line = 1
    while True:
        snapshots.cleanup()
        for name in ("key", SECOND):
            if snapshots.has(name):
                snapshots.remove(name)
        if operation in {"commit", "remove"}:
            snapshots.prepare("key", FIRST)
        if operation in {"remove committed", "discard"}:
            fill(snapshots, SECOND, FIRST)
        before = {info.name for info in snapshots.walk()}
        actions: dict[str, tuple[Callable[[], object], set[str]]] = {
            "prepare": (lambda: snapshots.prepare("key", FIRST), {FIRST, "key"}),
            "commit": (lambda: snapshots.commit(SECOND, "key"), {FIRST, SECOND}),
            "remove": (lambda: snapshots.remove("key"), {FIRST}),
            "remove committed": (lambda: snapshots.remove(SECOND), {FIRST}),
            "discard": (lambda: snapshots.discard([SECOND]), {FIRST}),
        }
        action, after = actions[operation]
        was_killed = killed_at(line, action)
        now = {info.name for info in snapshots.walk()}
        assert now in (before, after)
        assert was_killed or now == after
        for name in now:
            with mounts.attached(snapshots.mounts(name)) as root:
                assert set(os.listdir(root)) >= {"10", "11", "12"}
        snapshots.cleanup()
        assert set(os.listdir(snapshots.directory)) - {".empty"} == now
        committed = {SECOND} & now
        assert not [name for name in committed if Path(snapshots.directory, name, "work").exists()]
        if not was_killed:
            return
        line += 1 + line // 8  # every line at first, where each does something of its own


def test_cleaning_up_leaves_what_others_are_preparing(
    snapshots: SnapshotDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(snapshots, FIRST)
    begun_reader, begun_writer = os.pipe()
    go_reader, go_writer = os.pipe()
    made = type(snapshots)._tree_made

    def slowly(self: SnapshotDirectory, place: str, record: dict[str, Any]) -> None:
        os.write(begun_writer, b"1")
        os.read(go_reader, 1)
        made(self, place, record)

    monkeypatch.setattr(type(snapshots), "_tree_made", slowly)
    pid = child(lambda: len(snapshots.prepare("key", FIRST)) - 1)
    try:
        os.read(begun_reader, 1)
        snapshots.cleanup()
        assert len(snapshots.children(FIRST)) == 1
        with pytest.raises(Conflict, match="1 others are based on it"):
            snapshots.remove(FIRST)
        assert snapshots.discard([FIRST]) == []
    finally:
        os.write(go_writer, b"1")
        assert ended(pid) == 0
        for descriptor in (begun_reader, begun_writer, go_reader, go_writer):
            os.close(descriptor)
    assert snapshots.info("key").parent == FIRST


def test_of_two_that_commit_one_name_one_wins(snapshots: SnapshotDirectory) -> None:
    def commit(key: str) -> int:
        snapshots.prepare(key)
        Path(snapshots.unpack_target(key).path, "whose").write_text(key)
        try:
            snapshots.commit(FIRST, key)
        except Conflict:
            return 1
        return 0

    for _ in range(5):
        pids = {f"key{number}": child(lambda key=f"key{number}": commit(key)) for number in range(4)}  # type: ignore[misc]
        statuses = {key: ended(pid) for key, pid in pids.items()}
        assert sorted(statuses.values()) == [0, 1, 1, 1]
        (winner,) = [key for key, status in statuses.items() if status == 0]
        with mounts.attached(snapshots.mounts(FIRST)) as root:
            assert Path(f"/proc/self/fd/{root}/whose").read_text() == winner
        for name in [FIRST, *(key for key in statuses if key != winner)]:
            snapshots.remove(name)


def test_a_parent_that_is_removed_at_the_same_time_has_no_children_left(snapshots: SnapshotDirectory) -> None:
    def prepare(key: str) -> int:
        try:
            snapshots.prepare(key, FIRST)
        except NotFound:
            return 1
        snapshots.remove(key)
        return 0

    def remove() -> int:
        for _ in range(100_000):
            try:
                snapshots.remove(FIRST)
                return 0
            except Conflict:
                snapshots.cleanup()
        return 1

    for _ in range(5):
        fill(snapshots, FIRST)
        pids = [child(lambda key=f"key{number}": prepare(key)) for number in range(3)]  # type: ignore[misc]
        assert ended(child(remove)) == 0
        assert {ended(pid) for pid in pids} <= {0, 1}
        snapshots.cleanup()
        assert set(os.listdir(snapshots.directory)) - {".empty"} == set()
