"""What a comparison of two trees tells, and how it becomes the entries of a layer."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from orlop.errors import OrlopError, Unsupported
from orlop.storage.layers import diff, tar_writer
from orlop.storage.layers.changes import Source, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG_AGO = 1_000_000_000


class Pair:
    """A tree and its parent."""

    def __init__(self, place: Path) -> None:
        self.tree = place / "tree"
        self.parent = place / "parent"

    def parent_has(self, *paths: str) -> None:
        """Make the parent, with the paths' names as their contents, and a tree that is the same."""
        self.parent.mkdir()
        for path in paths:
            full = self.parent / path
            full.parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                full.mkdir()
            else:
                full.write_text(path)
        for directory, _, files in os.walk(self.parent, topdown=False):
            for name in files:
                os.utime(f"{directory}/{name}", (LONG_AGO, LONG_AGO))
            os.utime(directory, (LONG_AGO, LONG_AGO))
        shutil.copytree(self.parent, self.tree, symlinks=True)

    def source(self) -> Iterator[Source]:
        tree = os.open(self.tree, os.O_RDONLY)
        parent = os.open(self.parent, os.O_RDONLY) if self.parent.exists() else -1
        yield Source(tree, parent)
        os.close(tree)
        if parent >= 0:
            os.close(parent)

    def changes(self) -> list[str]:
        """``kind path``, with a + where a directory was emptied."""
        told = []
        for source in self.source():
            told += [
                f"{change.kind} {os.fsdecode(change.path) or '.'}{'+' * change.emptied}" for change in walk(source)
            ]
        return told

    def layer(self, *, clamp: int | None = None, is_layer: bool = True) -> tarfile.TarFile:
        content = io.BytesIO()
        archive = tar_writer.TarWriter(content)
        for source in self.source():
            diff.write(walk(source), archive, clamp=clamp, is_layer=is_layer)
        archive.finish()
        content.seek(0)
        return tarfile.open(fileobj=content)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def set_time_back(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (LONG_AGO, LONG_AGO))


def test_equal_trees_make_an_empty_layer(pair: Pair) -> None:
    pair.parent_has("a", "d/e/f")
    assert pair.changes() == []
    assert pair.layer().getnames() == []


def test_a_tree_without_a_parent_is_told_whole_and_in_order(pair: Pair) -> None:
    for path in ("b-c", "b/z", "b.c", "a"):
        (pair.tree / path).parent.mkdir(parents=True, exist_ok=True)
        (pair.tree / path).write_text("")
    assert pair.changes() == ["added .", "added a", "added b", "added b/z", "added b-c", "added b.c"]


def test_parents_of_what_changed_come_along(pair: Pair) -> None:
    pair.parent_has("a/b/c", "a/x", "z/y")
    (pair.tree / "a/b/c").write_text("new")
    assert pair.changes() == ["parent .", "parent a", "parent a/b", "modified a/b/c"]


def test_what_was_removed_comes_at_the_place_of_its_whiteout(pair: Pair) -> None:
    pair.parent_has("d/gone", "d/kept", "d/directory/below", ".a/b")
    (pair.tree / "d/gone").unlink()
    shutil.rmtree(pair.tree / "d/directory")
    (pair.tree / "d/.new").write_text("")
    set_time_back(pair.tree / "d")
    assert pair.changes() == ["parent .", "parent d", "added d/.new", "removed d/directory", "removed d/gone"]
    assert pair.layer().getnames() == [".", "d", "d/.new", "d/.wh.directory", "d/.wh.gone"]


def test_a_directory_in_which_nothing_is_left_is_opaque(pair: Pair) -> None:
    pair.parent_has("d/a", "d/b", "e/only")
    for path in ("d/a", "d/b", "e/only"):
        (pair.tree / path).unlink()
    (pair.tree / "d/.new").write_text("")
    set_time_back(pair.tree / "d", pair.tree / "e")
    assert pair.changes() == ["parent .", "parent d+", "added d/.new", "parent e", "removed e/only"]
    assert pair.layer().getnames() == [".", "d", "d/.wh..wh..opq", "d/.new", "e", "e/.wh.only"]


def test_the_root_is_never_opaque_since_overlay_knows_no_such_root(pair: Pair) -> None:
    pair.parent_has("a", "b")
    for name in ("a", "b"):
        (pair.tree / name).unlink()
    assert pair.layer().getnames() == [".", ".wh.a", ".wh.b"]


def test_something_of_another_type_takes_the_place_of_all_that_was_there(pair: Pair) -> None:
    pair.parent_has("to-file/below", "to-directory", "to-link/below")
    shutil.rmtree(pair.tree / "to-file")
    (pair.tree / "to-file").write_text("")
    (pair.tree / "to-directory").unlink()
    (pair.tree / "to-directory").mkdir()
    (pair.tree / "to-directory/new").write_text("")
    shutil.rmtree(pair.tree / "to-link")
    (pair.tree / "to-link").symlink_to("to-directory")
    set_time_back(pair.tree)
    assert pair.changes() == [
        "parent .",
        "modified to-directory",
        "added to-directory/new",
        "modified to-file",
        "modified to-link",
    ]


def test_content_is_compared_where_everything_else_is_the_same(pair: Pair) -> None:
    pair.parent_has("same", "other")
    (pair.tree / "other").write_text("OTHER")
    set_time_back(pair.tree / "other")
    assert pair.changes() == ["parent .", "modified other"]


def test_a_time_alone_is_a_difference(pair: Pair) -> None:
    pair.parent_has("d/a", "d/b")
    os.utime(pair.tree / "d/a", ns=(0, LONG_AGO * 10**9 + 1))
    os.utime(pair.tree / "d", (0, LONG_AGO + 1))
    assert pair.changes() == ["parent .", "modified d", "modified d/a"]
    assert pair.layer().getmember("d/a").pax_headers == {"mtime": f"{LONG_AGO}.000000001"}


def test_an_attribute_alone_is_a_difference_but_not_one_of_overlays(pair: Pair) -> None:
    pair.parent_has("a", "b", "d/")
    os.setxattr(pair.tree / "a", "user.mark", b"1")
    os.setxattr(pair.tree / "b", "user.overlay.origin", b"1")
    os.setxattr(pair.tree / "d", "user.overlay.opaque", b"y")
    assert pair.changes() == ["parent .", "modified a"]
    assert pair.layer().getmember("a").pax_headers == {"SCHILY.xattr.user.mark": "1"}


def test_a_socket_counts_as_missing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.parent_has("was-file", "kept")
    (pair.tree / "was-file").unlink()
    monkeypatch.chdir(pair.tree)
    for name in ("was-file", "new"):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(name)
    set_time_back(pair.tree)
    assert pair.changes() == ["parent .", "removed was-file"]


def test_of_a_file_with_several_names_the_first_is_the_file(pair: Pair) -> None:
    pair.tree.mkdir()
    (pair.tree / "b").write_text("content")
    (pair.tree / "c").hardlink_to(pair.tree / "b")
    (pair.tree / "a").hardlink_to(pair.tree / "b")
    members = pair.layer().getmembers()[1:]
    assert [(member.name, member.type, member.linkname, member.size) for member in members] == [
        ("a", tarfile.REGTYPE, "", 7),
        ("b", tarfile.LNKTYPE, "a", 0),
        ("c", tarfile.LNKTYPE, "a", 0),
    ]


def with_links(pair: Pair, *names: str) -> None:
    for root in (pair.parent, pair.tree):
        for name in names[1:]:
            (root / name).unlink()
            (root / name).hardlink_to(root / names[0])
    set_time_back(pair.parent, pair.tree)


def test_links_that_are_as_they_were_are_left_out(pair: Pair) -> None:
    pair.parent_has("a", "b", "c")
    with_links(pair, "a", "b")
    (pair.tree / "c").unlink()
    assert pair.changes() == ["modified .", "removed c"]


def test_a_new_name_of_an_old_file_brings_the_file_along(pair: Pair) -> None:
    pair.parent_has("a", "b")
    with_links(pair, "a", "b")
    (pair.tree / "new").hardlink_to(pair.tree / "a")
    assert [(m.name, m.linkname) for m in pair.layer().getmembers()] == [(".", ""), ("a", ""), ("b", "a"), ("new", "a")]


def test_a_name_that_became_a_file_of_its_own_is_told(pair: Pair) -> None:
    pair.parent_has("a", "b", "c")
    with_links(pair, "a", "b", "c")
    shutil.copy2(pair.tree / "b", pair.tree / "copy")
    (pair.tree / "copy").rename(pair.tree / "b")
    set_time_back(pair.tree)
    assert pair.changes() == ["parent .", "modified b"]


def test_times_after_the_limit_become_the_limit(pair: Pair) -> None:
    pair.tree.mkdir()
    (pair.tree / "new").write_text("")
    (pair.tree / "old").write_text("")
    os.utime(pair.tree / "old", (5, 5))
    layer = pair.layer(clamp=1000)
    assert [(member.mtime, member.pax_headers) for member in layer.getmembers()] == [(1000, {}), (1000, {}), (5, {})]


@pytest.mark.parametrize("name", [".wh.file", ".wh..wh..opq"])
def test_a_name_that_would_mean_a_removal_is_refused_except_in_plain_archives(name: str, pair: Pair) -> None:
    pair.tree.mkdir()
    (pair.tree / name).write_text("")
    with pytest.raises(
        Unsupported, match=rf"/{name} cannot be in a layer, where names that begin with \.wh\. say what"
    ):
        pair.layer()
    assert pair.layer(is_layer=False).getnames() == [".", name]


def descend(root: Path, name: str, depth: int) -> None:
    """A chain of directories, each with a file that comes after the next directory."""
    directory = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.close(os.open("z-file", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
        os.mkdir(name, dir_fd=directory)
        below = os.open(name, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)


@pytest.mark.parametrize("settled", [True, False], ids=["all but the deepest is the same", "all of it differs"])
def test_deep_trees_take_few_descriptors(pair: Pair, settled: bool) -> None:
    for root in (pair.parent, pair.tree):
        root.mkdir()
        descend(root, "d", 200)
        for path in [root / ("d/" * depth) for depth in range(200, -1, -1)] if settled else []:
            set_time_back(path, *path.glob("z-file"))
    (pair.tree / ("d/" * 200) / "new").write_text("")
    before = len(os.listdir("/proc/self/fd"))
    most, found = 0, []
    for source in pair.source():
        for change in walk(source):
            most = max(most, len(os.listdir("/proc/self/fd")) - before)
            found.append(change.path)
    assert most < 140
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(found) == (202 if settled else 402)
    assert found[-1] == (b"d/" * 200 + b"new" if settled else b"z-file")


def test_a_tree_deeper_than_paths_can_tell_is_refused(pair: Pair) -> None:
    pair.tree.mkdir()
    descend(pair.tree, "d" * 200, 90)
    with pytest.raises(OrlopError, match=r"the path /ddd.*… is \d+ bytes long and has more than 64 directories below"):
        pair.changes()


def test_an_export_is_an_archive_that_tar_unpacks(pair: Pair, tmp_path: Path) -> None:
    pair.parent_has("a", "d/b", "d/.wh.c")
    with (tmp_path / "archive").open("wb") as archive:
        for source in pair.source():
            diff.export(source.directory, archive.fileno())
    shutil.rmtree(pair.parent)
    pair.parent.mkdir()
    subprocess.run(["tar", "-C", pair.parent, "-xpf", tmp_path / "archive"], check=True)
    assert pair.changes() == []
