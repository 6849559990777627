"""What `orlop.storage.snapshots.interface` promises, of every driver."""

from __future__ import annotations

import fcntl
import os
import re
import resource
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.errors import Conflict, InvalidArgument, NotFound
from orlop.storage import directory_lock, mounts, trees

from .conftest import ROOTLESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.storage.mounts import Mount
    from orlop.storage.snapshots.directory import SnapshotDirectory

FIRST = "sha256:" + "1" * 64
SECOND = "sha256:" + "2" * 64
THIRD = "sha256:" + "3" * 64


def at(root: int) -> Path:
    return Path(f"/proc/self/fd/{root}")


def tree(seen: list[Mount]) -> dict[str, str]:
    """Every regular file's content by its path."""
    with mounts.attached(seen) as root:
        top = at(root)
        return {str(each.relative_to(top)): each.read_text() for each in sorted(top.rglob("*")) if each.is_file()}


def make(
    snapshots: SnapshotDirectory, name: str, parent: str = "", change: Callable[[Path], object] = lambda _: None
) -> None:
    """A committed snapshot, changed through its mount."""
    with mounts.attached(snapshots.prepare("making", parent)) as root:
        change(at(root))
    snapshots.commit(name, "making")


def names_on_disk(snapshots: SnapshotDirectory) -> set[str]:
    return set(os.listdir(snapshots.directory)) - {".empty"}


def test_an_active_snapshot_without_a_parent_is_an_empty_directory_of_root(snapshots: SnapshotDirectory) -> None:
    before = os.umask(0o077)
    try:
        made = snapshots.prepare("key")
    finally:
        os.umask(before)
    assert made == snapshots.mounts("key")
    with mounts.attached(made) as root:
        status = os.fstat(root)
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o755, 0, 0)
        assert os.listdir(root) == []


def test_a_snapshot_begins_as_its_parent_which_it_does_not_change(snapshots: SnapshotDirectory) -> None:
    def fill(top: Path) -> None:
        (top / "kept").write_text("kept")
        (top / "changed").write_text("old")
        (top / "removed").write_text("removed")
        (top / "directory").mkdir()
        (top / "directory/file").write_text("below")

    def change(top: Path) -> None:
        (top / "changed").write_text("new")
        (top / "removed").unlink()
        (top / "directory/file").unlink()
        (top / "directory").rmdir()
        (top / "directory").mkdir()
        (top / "directory/other").write_text("instead")

    make(snapshots, FIRST, change=fill)
    make(snapshots, SECOND, FIRST, change)
    assert tree(snapshots.mounts(FIRST)) == {
        "changed": "old", "directory/file": "below", "kept": "kept", "removed": "removed",
    }  # fmt: skip
    assert tree(snapshots.mounts(SECOND)) == {"changed": "new", "directory/other": "instead", "kept": "kept"}
    assert tree(snapshots.prepare("child", SECOND)) == tree(snapshots.mounts(SECOND))


def test_a_renamed_directory_of_the_parent_stays_whole(snapshots: SnapshotDirectory) -> None:
    def fill(top: Path) -> None:
        (top / "old").mkdir()
        (top / "old/file").write_text("content")

    def change(top: Path) -> None:
        try:
            (top / "old").rename(top / "new")
        except OSError:  # as mv does where the kernel says EXDEV
            (top / "new").mkdir()
            (top / "new/file").write_text((top / "old/file").read_text())
            (top / "old/file").unlink()
            (top / "old").rmdir()

    make(snapshots, FIRST, change=fill)
    make(snapshots, SECOND, FIRST, change)
    make(snapshots, THIRD, SECOND)
    assert tree(snapshots.mounts(THIRD)) == {"new/file": "content"}


def special(top: Path) -> None:
    """One of everything that a file system can hold."""
    os.chmod(top, 0o1775)
    os.chown(top, 3, 4)
    (top / "file").write_text("content")
    os.chown(top / "file", 1000, 1001)
    os.chmod(top / "file", 0o6711)
    os.setxattr(top / "file", "user.colour", b"blue\0green")
    os.setxattr(top / "file", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    os.utime(top / "file", ns=(1_111_111_111_222_333_444, 1_222_222_222_333_444_555))
    os.link(top / "file", top / "linked")
    (top / "deep/er").mkdir(parents=True)
    os.link(top / "file", top / "deep/er/linked")
    os.symlink("../no/where", top / "link")
    os.chown(top / "link", 5, 6, follow_symlinks=False)
    os.utime(top / "link", ns=(7, 8), follow_symlinks=False)
    os.mkfifo(top / "fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(top / "socket"))
    if not ROOTLESS:
        os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(top / "disk", stat.S_IFBLK | 0o660, os.makedev(7, 99))
    with (top / "sparse").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"middle")
        file.truncate(64 << 20)
    (top / os.fsdecode(b"not \xff utf-8")).write_text("")
    os.chmod(top / "deep/er", 0o2700)
    os.utime(top / "deep/er", ns=(1, 2_000_000_003))
    os.utime(top / "deep", ns=(1, 4_000_000_005))


def described(top: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    inodes: dict[int, str] = {}
    for path in [f"{top}/.", *map(str, sorted(top.rglob("*")))]:  # without "/." it would be the link in /proc
        status = os.lstat(path)
        name = path.removeprefix(f"{top}/")
        is_directory = stat.S_ISDIR(status.st_mode)
        found[name] = (
            stat.filemode(status.st_mode), status.st_uid, status.st_gid, status.st_rdev,
            0 if is_directory else status.st_size, 0 if is_directory else status.st_nlink, status.st_mtime_ns,
            [(key, os.getxattr(path, key, follow_symlinks=False)) for key in sorted(os.listxattr(path, follow_symlinks=False))],
            os.readlink(path) if stat.S_ISLNK(status.st_mode) else "",
            Path(path).read_bytes() if stat.S_ISREG(status.st_mode) and status.st_size < 1000 else b"",
            name if is_directory else inodes.setdefault(status.st_ino, name),
        )  # fmt: skip
    return found


def test_all_that_a_file_system_can_hold_is_in_the_child_as_in_the_parent(snapshots: SnapshotDirectory) -> None:
    with mounts.attached(snapshots.prepare("key")) as root:
        special(at(root))
        os.utime(root, ns=(1, 1_333_333_333_444_555_666))
        wanted = described(at(root))
    snapshots.commit(FIRST, "key")
    with mounts.attached(snapshots.prepare("child", FIRST)) as root:
        assert described(at(root)) == wanted
        sparse = (at(root) / "sparse").stat()
        assert sparse.st_blocks * 512 < 1 << 20
        assert (at(root) / "sparse").read_bytes()[(1 << 20) - 3 : (1 << 20) + 7] == b"\0\0\0middle\0"


def test_a_tree_deeper_than_any_path_is_handed_down_and_removed(snapshots: SnapshotDirectory) -> None:
    with mounts.attached(snapshots.prepare("key")) as root:
        here = os.open(".", os.O_RDONLY, dir_fd=root)
        for number in range(300):
            os.mkdir("nested" * 5, dir_fd=here)
            below = os.open("nested" * 5, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
            if number == 250:
                os.close(os.open("file", os.O_CREAT, dir_fd=here))
                os.link("file", "again", src_dir_fd=here, dst_dir_fd=here)
        os.close(here)
    snapshots.commit(FIRST, "key")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 150, limits[1]))
    try:
        assert snapshots.usage(FIRST).inodes == 302
        with mounts.attached(snapshots.prepare("child", FIRST)) as root:
            assert sum(len(entries) for _, _, _, entries in trees.walk(root)) == 302
        snapshots.remove("child")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    snapshots.remove(FIRST)
    assert names_on_disk(snapshots) == set()


def test_a_committed_snapshot_and_a_view_cannot_be_written_to(snapshots: SnapshotDirectory) -> None:
    make(snapshots, FIRST, change=lambda top: (top / "file").write_text("x"))
    for seen in (snapshots.view("view", FIRST), snapshots.mounts("view"), snapshots.mounts(FIRST)):
        assert tree(seen) == {"file": "x"}
        with mounts.attached(seen) as root, pytest.raises(OSError, match="Read-only"):
            (at(root) / "new").touch()
    with pytest.raises(InvalidArgument, match="not an active one"):
        snapshots.commit(SECOND, "view")
    with pytest.raises(InvalidArgument, match="not an active one"):
        snapshots.unpack_target("view")


def test_a_commit_gives_the_tree_its_name_and_frees_the_key(snapshots: SnapshotDirectory) -> None:
    snapshots.prepare("key")
    active = snapshots.info("key")
    assert (active.name, active.kind, active.parent) == ("key", "active", "")
    snapshots.commit(FIRST, "key")
    committed = snapshots.info(FIRST)
    assert (committed.name, committed.kind, committed.parent) == (FIRST, "committed", "")
    assert committed.created == active.created
    assert snapshots.has(FIRST)
    assert not snapshots.has("key")
    with pytest.raises(NotFound):
        snapshots.info("key")
    snapshots.prepare("key", FIRST)
    assert snapshots.info("key").parent == FIRST


def test_a_name_is_given_once(snapshots: SnapshotDirectory) -> None:
    make(snapshots, FIRST, change=lambda top: (top / "file").write_text("first"))
    with mounts.attached(snapshots.prepare("key")) as root:
        (at(root) / "file").write_text("second")
    with pytest.raises(Conflict, match="exists already"):
        snapshots.commit(FIRST, "key")
    with pytest.raises(Conflict, match="exists already"):
        snapshots.prepare("key", FIRST)
    with pytest.raises(Conflict, match="exists already"):
        snapshots.view("key", FIRST)
    assert tree(snapshots.mounts(FIRST)) == {"file": "first"}
    assert tree(snapshots.mounts("key")) == {"file": "second"}
    assert names_on_disk(snapshots) == {FIRST, "key"}


def test_what_does_not_exist_is_not_found(snapshots: SnapshotDirectory) -> None:
    asking: list[Callable[[], object]] = [
        lambda: snapshots.prepare("key", FIRST),
        lambda: snapshots.view("key", FIRST),
        lambda: snapshots.commit(FIRST, "key"),
        lambda: snapshots.mounts("key"),
        lambda: snapshots.info(FIRST),
        lambda: snapshots.usage(FIRST),
        lambda: snapshots.remove("key"),
        lambda: snapshots.remove(FIRST),
        lambda: snapshots.unpack_target("key"),
        lambda: snapshots.diff_base("key"),
    ]
    for each in asking:
        with pytest.raises(NotFound, match="no such snapshot: "):
            each()
    assert not snapshots.has(FIRST)
    assert snapshots.children(FIRST) == []
    assert names_on_disk(snapshots) == set()


def test_a_name_that_is_no_file_name_is_refused(snapshots: SnapshotDirectory) -> None:
    asking: list[Callable[[str], object]] = [snapshots.prepare, snapshots.info, snapshots.has, snapshots.remove]
    for name in ("", ".", "..", ".hidden", "a/b", "nul\0", "x" * 300):
        for each in asking:
            with pytest.raises(InvalidArgument, match="cannot be the name of a snapshot"):
                each(name)


def test_digests_name_committed_snapshots_and_nothing_else_does(snapshots: SnapshotDirectory) -> None:
    snapshots.prepare("key")
    with pytest.raises(InvalidArgument, match="cannot be the key of a snapshot"):
        snapshots.prepare(FIRST)
    with pytest.raises(InvalidArgument, match="it is no digest"):
        snapshots.commit("other", "key")
    with pytest.raises(InvalidArgument, match="not a committed one"):
        snapshots.prepare("child", "key")
    with pytest.raises(InvalidArgument, match="needs a parent"):
        snapshots.view("child", "")


def test_a_snapshot_with_children_stays(snapshots: SnapshotDirectory) -> None:
    make(snapshots, FIRST)
    make(snapshots, SECOND, FIRST)
    snapshots.view("view", SECOND)
    snapshots.prepare("active", SECOND)
    assert snapshots.children(FIRST) == [SECOND]
    assert sorted(snapshots.children(SECOND)) == ["active", "view"]
    with pytest.raises(Conflict, match=re.escape(f"snapshot {SECOND} cannot be removed: 2 others are based on it")):
        snapshots.remove(SECOND)
    for name in ("view", "active", SECOND, FIRST):
        snapshots.remove(name)
    assert names_on_disk(snapshots) == set()


def test_discarding_takes_children_before_their_parents_and_leaves_what_others_need(
    snapshots: SnapshotDirectory,
) -> None:
    make(snapshots, FIRST)
    make(snapshots, SECOND, FIRST)
    make(snapshots, THIRD, SECOND)
    snapshots.prepare("active", FIRST)
    assert snapshots.discard([FIRST, SECOND, THIRD, "unknown"]) == [THIRD, SECOND]
    assert {info.name for info in snapshots.walk()} == {FIRST, "active"}
    assert len(names_on_disk(snapshots)) == 4
    beginning = directory_lock.hold(
        snapshots.directory, fcntl.LOCK_SH
    )  # as whoever begins one, or ends one, at that time
    try:
        snapshots.cleanup()
    finally:
        os.close(beginning)
    assert names_on_disk(snapshots) == {FIRST, "active"}


def test_walking_tells_of_all_snapshots_also_of_a_damaged_one(snapshots: SnapshotDirectory) -> None:
    make(snapshots, FIRST)
    snapshots.prepare("active", FIRST)
    snapshots.view("view", FIRST)
    assert {(info.name, info.kind, info.parent) for info in snapshots.walk()} == {
        (FIRST, "committed", ""), ("active", "active", FIRST), ("view", "view", FIRST),
    }  # fmt: skip
    Path(snapshots.directory, "active/record.json").write_bytes(b"")  # as after a power failure
    assert {(info.name, info.kind) for info in snapshots.walk()} == {
        (FIRST, "committed"), ("active", "damaged"), ("view", "view"),
    }  # fmt: skip
    snapshots.remove("active")
    assert {info.name for info in snapshots.walk()} == {FIRST, "view"}


def test_usage_is_what_the_snapshot_itself_takes(snapshots: SnapshotDirectory) -> None:
    def fill(top: Path) -> None:
        (top / "file").write_bytes(os.urandom(1 << 20))
        os.link(top / "file", top / "linked")

    make(snapshots, FIRST, change=fill)
    sync(snapshots)
    first = snapshots.usage(FIRST)
    assert first.inodes == 2
    assert 1 << 20 <= first.bytes < 1_200_000
    make(snapshots, SECOND, FIRST, lambda top: (top / "other").write_bytes(os.urandom(2 << 20)))
    sync(snapshots)
    second = snapshots.usage(SECOND)
    if snapshots.driver == "vfs":
        assert (second.inodes, second.bytes >= 3 << 20) == (3, True)
    else:
        assert second.inodes == 2  # the root directory has changed
        assert 2 << 20 <= second.bytes < 2_200_000
    again = snapshots.usage(SECOND)
    assert (again.bytes, again.inodes) == (second.bytes, second.inodes)
    snapshots.view("view", FIRST)
    assert (snapshots.usage("view").bytes, snapshots.usage("view").inodes) == (0, 0)


def sync(snapshots: SnapshotDirectory) -> None:
    """Blocks are counted once they are allocated."""
    for path in Path(snapshots.directory).rglob("*"):
        if path.is_file() and path.stat().st_size > 1000:
            with path.open("rb") as file:
                os.fsync(file.fileno())


def test_what_is_unpacked_into_the_target_is_what_the_child_sees(snapshots: SnapshotDirectory) -> None:
    make(snapshots, FIRST, change=lambda top: (top / "lower").write_text("lower"))
    snapshots.prepare("key", FIRST)
    target = snapshots.unpack_target("key")
    assert target.form == ("overlay" if snapshots.driver == "overlay" else "merged")
    assert target.rootless == ROOTLESS
    assert os.listdir(target.path) == ([] if target.form == "overlay" else ["lower"])
    (Path(target.path) / "upper").write_text("upper")
    snapshots.commit(SECOND, "key")
    assert tree(snapshots.mounts(SECOND)) == {"lower": "lower", "upper": "upper"}


def test_independent_layers_are_put_in_order_when_they_are_committed(snapshots: SnapshotDirectory) -> None:
    layers = {"bottom": FIRST, "middle": SECOND, "top": THIRD}
    for key in reversed(layers):
        snapshots.prepare(key)
        (Path(snapshots.unpack_target(key).path) / "file").write_text(key)
        (Path(snapshots.unpack_target(key).path) / key).write_text(key)
    snapshots.commit(FIRST, "bottom", parent="")
    if not snapshots.independent_layers:
        with pytest.raises(InvalidArgument, match=f"driver {snapshots.driver} cannot do that"):
            snapshots.commit(SECOND, "middle", parent=FIRST)
        return
    with pytest.raises(NotFound, match=THIRD):
        snapshots.commit(SECOND, "middle", parent=THIRD)
    snapshots.commit(SECOND, "middle", parent=FIRST)
    snapshots.commit(THIRD, "top", parent=SECOND)
    assert snapshots.info(THIRD).parent == SECOND
    assert tree(snapshots.mounts(THIRD)) == {"file": "top", "bottom": "bottom", "middle": "middle", "top": "top"}
    snapshots.prepare("other", FIRST)
    with pytest.raises(InvalidArgument, match=f"its parent is {FIRST}"):
        snapshots.commit("sha256:" + "4" * 64, "other", parent=SECOND)


def test_a_diff_finds_both_trees_and_what_differs_where_the_driver_knows_it(snapshots: SnapshotDirectory) -> None:
    make(snapshots, FIRST, change=lambda top: (top / "file").write_text("old"))
    with mounts.attached(snapshots.prepare("key", FIRST)) as root:
        (at(root) / "file").unlink()
        (at(root) / "new").write_text("new")
    for name in ("key", SECOND):
        base = snapshots.diff_base(name)
        assert tree(base.parent_mounts) == {"file": "old"}
        assert tree(base.mounts) == {"new": "new"}
        assert base.mounts[0].read_only
        assert base.parent_mounts[0].read_only
        if snapshots.driver == "overlay":
            assert base.upper is not None
            upper = Path(base.upper)
            assert sorted(os.listdir(upper)) == ["file", "new"]
            assert stat.S_ISCHR((upper / "file").lstat().st_mode)
            assert (upper / "file").lstat().st_rdev == 0
        else:
            assert base.upper is None
        if name == "key":
            snapshots.commit(SECOND, "key")
    assert snapshots.diff_base(FIRST).parent_mounts == []
    assert tree(snapshots.diff_base(FIRST).mounts) == {"file": "old"}


def test_a_mount_is_nowhere_in_the_host_and_gone_with_its_descriptor(snapshots: SnapshotDirectory) -> None:
    def ours() -> list[str]:
        """Mounts that have to do with us; other tests make theirs at the same time."""
        return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if snapshots.directory in line]

    before = ours()
    make(snapshots, FIRST, change=lambda top: (top / "file").write_text("x"))
    with mounts.attached(snapshots.view("view", FIRST)):
        assert ours() == before
    assert ours() == before


def test_a_tree_in_which_nobody_may_look_is_removed(snapshots: SnapshotDirectory) -> None:
    with mounts.attached(snapshots.prepare("key")) as root:
        (at(root) / "closed/below").mkdir(parents=True)
        (at(root) / "closed/below/file").touch()
        os.chmod(at(root) / "closed/below", 0)
        os.chmod(at(root) / "closed", 0)
    snapshots.remove("key")
    assert names_on_disk(snapshots) == set()


def test_removing_a_tree_follows_no_link(snapshots: SnapshotDirectory, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    with mounts.attached(snapshots.prepare("key")) as root:
        os.symlink(outside, at(root) / "link")
        os.symlink(outside / "file", at(root) / "other")
    snapshots.remove("key")
    assert (outside / "file").exists()


@pytest.mark.parametrize("parent", ["", FIRST])
def test_a_duplicate_begins_as_its_source_is_and_neither_changes_with_the_other(
    snapshots: SnapshotDirectory, parent: str
) -> None:
    make(snapshots, FIRST, change=lambda top: (top / "below").write_text("below"))

    def change(top: Path) -> None:
        (top / "own").write_text("own")
        if parent:
            (top / "below").unlink()
        os.link(top / "own", top / "linked")

    with mounts.attached(snapshots.prepare("source", parent)) as root:
        change(at(root))
        with mounts.attached(snapshots.duplicate("copy", "source")) as other:
            (at(other) / "own").write_text("the copy's")
            (at(root) / "later").write_text("later")
    assert snapshots.info("copy").parent == parent
    assert tree(snapshots.mounts("copy")) == {"own": "the copy's", "linked": "the copy's"}
    assert tree(snapshots.mounts("source")) == {"own": "own", "linked": "own", "later": "later"}


def test_a_committed_snapshot_can_be_duplicated_and_a_view_cannot(snapshots: SnapshotDirectory) -> None:
    make(snapshots, FIRST, change=lambda top: (top / "file").write_text("first"))
    make(snapshots, SECOND, FIRST, lambda top: (top / "file").write_text("second"))
    snapshots.duplicate("copy", SECOND)
    assert snapshots.info("copy").parent == FIRST
    assert tree(snapshots.mounts("copy")) == {"file": "second"}
    snapshots.view("view", SECOND)
    with pytest.raises(InvalidArgument, match="it is a view"):
        snapshots.duplicate("other", "view")
    with pytest.raises(Conflict):
        snapshots.duplicate("copy", SECOND)
    with pytest.raises(NotFound):
        snapshots.duplicate("other", THIRD)


def test_a_snapshot_is_compared_with_any_ancestor(snapshots: SnapshotDirectory) -> None:
    make(snapshots, FIRST, change=lambda top: (top / "file").write_text("first"))
    make(snapshots, SECOND, FIRST, lambda top: (top / "file").write_text("second"))
    snapshots.prepare("key", SECOND)
    base = snapshots.diff_base("key", FIRST)
    assert base.upper is None
    assert tree(base.parent_mounts) == {"file": "first"}
    assert tree(base.mounts) == {"file": "second"}
    assert snapshots.diff_base("key", "").parent_mounts == []
    assert snapshots.diff_base("key", SECOND).upper == snapshots.diff_base("key").upper
