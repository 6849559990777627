"""Making a layer of a tree that somebody hostile changes meanwhile: nothing from outside gets in, and nothing breaks.

What a container does at the worst moment is done here at that moment: between the walk's telling of a change and the
reading of what it tells.
"""

from __future__ import annotations

import io
import os
import random
import stat
import tarfile
import threading
from typing import TYPE_CHECKING

import pytest

from orlop.storage.layers import diff, tar_writer
from orlop.storage.layers.changes import Source, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orlop.storage.layers.changes import Change

SECRET = "the host's secret"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with files before and after a directory, and a secret outside."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/inner").write_text(SECRET)
    (tmp_path / "secret").write_text(SECRET)
    tree = tmp_path / "tree"
    (tree / "directory").mkdir(parents=True)
    (tree / "directory/inner").write_text("inner")
    (tree / "a").write_text("a")
    (tree / "z").write_text("z")
    return tree


def at(path: str, action: Callable[[], object], changes: Iterator[Change]) -> Iterator[Change]:
    """The changes, but when one of ``path`` has been told, something happens."""
    for change in changes:
        if change.path == path.encode():
            action()
        yield change


def layer(tree: Path, path: str, action: Callable[[], object], *, parent: Path | None = None) -> dict[str, bytes]:
    """The files of a layer that is made while something happens."""
    content = io.BytesIO()
    archive = tar_writer.TarWriter(content)
    directory = os.open(tree, os.O_RDONLY)
    below = -1 if parent is None else os.open(parent, os.O_RDONLY)
    try:
        diff.write(at(path, action, walk(Source(directory, below))), archive)
        archive.finish()
    finally:
        os.close(directory)
        if below >= 0:
            os.close(below)
    assert SECRET.encode() not in content.getvalue()
    return files(content.getvalue())


def files(content: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            found[member.name] = file.read() if file else b""
    assert len(content) % 512 == 0
    assert content[-1024:] == bytes(1024)
    return found


def replace(path: Path, target: Path) -> None:
    path.rename(path.with_name(f"{path.name}-was"))
    path.symlink_to(target)


@pytest.mark.parametrize("moment", ["a", "directory", "directory/inner"])
def test_a_directory_that_becomes_a_link_leads_nowhere(tree: Path, moment: str) -> None:
    found = layer(tree, moment, lambda: replace(tree / "directory", tree.parent / "outside"))
    assert found["z"] == b"z"
    assert found.get("directory/inner", b"inner") == b"inner"


@pytest.mark.parametrize("moment", ["a", "directory"])
def test_a_parents_directory_that_is_a_link_leads_nowhere(tree: Path, moment: str) -> None:
    parent = tree.parent / "parent"
    (parent / "directory").mkdir(parents=True)
    (parent / "directory/of-parent").write_text("")
    found = layer(tree, moment, lambda: replace(parent / "directory", tree.parent / "outside"), parent=parent)
    assert found["directory/inner"] == b"inner"
    assert "directory/.wh.of-parent" in found or moment == "a"


def test_a_file_that_becomes_a_link_is_left_out(tree: Path) -> None:
    found = layer(tree, "a", lambda: replace(tree / "a", tree.parent / "secret"))
    assert "a" not in found
    assert found["z"] == b"z"


def test_a_link_that_becomes_a_file_is_left_out(tree: Path) -> None:
    (tree / "link").symlink_to("a")

    def action() -> None:
        (tree / "link").unlink()
        (tree / "link").write_text("")

    found = layer(tree, "link", action)
    assert "link" not in found
    assert found["z"] == b"z"


def test_a_file_that_becomes_a_fifo_is_not_waited_for(tree: Path) -> None:
    def action() -> None:
        (tree / "a").unlink()
        os.mkfifo(tree / "a")

    found = layer(tree, "a", action)
    assert "a" not in found
    assert found["z"] == b"z"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes a device")
def test_a_file_that_becomes_a_device_is_not_opened(tree: Path) -> None:
    seen: list[int] = []

    def action() -> None:
        (tree / "a").unlink()
        # No driver has this number, so that opening it would fail with ENXIO.
        os.mknod(tree / "a", stat.S_IFCHR | 0o600, os.makedev(4000, 0))
        seen.append(1)

    found = layer(tree, "a", action)
    assert seen
    assert "a" not in found
    assert found["z"] == b"z"


def test_a_file_that_vanishes_is_left_out(tree: Path) -> None:
    found = layer(tree, "a", (tree / "a").unlink)
    assert "a" not in found
    assert found["z"] == b"z"


@pytest.mark.parametrize("left", [0, 1, 1_000_000, 1_500_000])
def test_a_file_that_shrinks_while_it_is_read_is_filled_up(tree: Path, left: int) -> None:
    size = 3_000_001
    (tree / "a").write_bytes(b"x" * size)
    writes: list[int] = []

    class Shrinking(io.BytesIO):
        def write(self, data: object) -> int:
            if not writes:
                os.truncate(tree / "a", left)
            writes.append(1)
            return super().write(data)  # type: ignore[arg-type]

    content = Shrinking()
    archive = tar_writer.TarWriter(content)
    directory = os.open(tree, os.O_RDONLY)
    try:
        diff.write(walk(Source(directory)), archive)
    finally:
        os.close(directory)
    archive.finish()
    found = files(content.getvalue())
    assert len(found["a"]) == size
    assert not found["a"].strip(b"x").strip(b"\0")
    assert found["a"].endswith(b"\0")
    assert found["z"] == b"z"


def test_what_a_file_grows_by_while_it_is_read_is_left_out(tree: Path) -> None:
    size = 2_000_000
    (tree / "a").write_bytes(b"x" * size)

    class Growing(io.BytesIO):
        def write(self, data: object) -> int:
            with (tree / "a").open("ab") as file:
                file.write(b"y" * 1_000_000)
            return super().write(data)  # type: ignore[arg-type]

    content = Growing()
    archive = tar_writer.TarWriter(content)
    directory = os.open(tree, os.O_RDONLY)
    try:
        diff.write(walk(Source(directory)), archive)
    finally:
        os.close(directory)
    archive.finish()
    found = files(content.getvalue())
    assert found["a"] == b"x" * size
    assert found["z"] == b"z"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: trusted.* attributes")
def test_an_attribute_that_anybody_can_set_makes_no_directory_opaque_and_no_file_a_whiteout(tree: Path) -> None:
    parent = tree.parent / "parent"
    (parent / "directory").mkdir(parents=True)
    for name in ("inner", "one", "two"):
        (parent / "directory" / name).write_text(name)
    os.setxattr(tree / "directory", "user.overlay.opaque", b"y")
    (tree / "a").write_text("")
    os.setxattr(tree / "a", "user.overlay.whiteout", b"")
    content = io.BytesIO()
    archive = tar_writer.TarWriter(content)
    upper, lower = os.open(tree, os.O_RDONLY), os.open(parent, os.O_RDONLY)
    try:
        diff.write(walk(Source(upper, lower, marks="trusted.overlay.")), archive)
    finally:
        os.close(upper)
        os.close(lower)
    archive.finish()
    found = files(content.getvalue())
    assert sorted(found) == [".", "a", "directory", "directory/inner", "z"]


def test_whatever_happens_meanwhile_the_archive_is_whole_and_has_nothing_from_outside(tree: Path) -> None:
    """Four hundred archives while another thread replaces, moves and removes what is there."""
    enough = threading.Event()
    kinds = ["file", "directory", "link", "fifo", "nothing"]

    def disturb() -> None:
        dice = random.Random(1)
        names = [tree / "a", tree / "directory", tree / "directory/inner", tree / "m", tree / "z"]
        while not enough.is_set():
            path, kind = dice.choice(names), dice.choice(kinds)
            try:
                if dice.random() < 0.3:
                    path.rename(dice.choice(names))
                    continue
                if path.is_symlink() or not path.is_dir():
                    path.unlink()
                elif dice.random() < 0.5:
                    path.rename(tree.parent / f"moved-{dice.random()}")
                if kind == "file":
                    path.write_text("x" * dice.randrange(3000))
                elif kind == "directory":
                    path.mkdir()
                    (path / "inner").write_text("y")
                elif kind == "link":
                    path.symlink_to(tree.parent / dice.choice(["outside", "secret"]))
                elif kind == "fifo":
                    os.mkfifo(path)
            except OSError:
                continue

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        parent = tree.parent / "parent"
        (parent / "directory").mkdir(parents=True)
        (parent / "a").write_text("a")
        before = len(os.listdir("/proc/self/fd"))
        for number in range(400):
            layer(tree, "", lambda: None, parent=parent if number % 2 else None)
    finally:
        enough.set()
        thread.join()
    assert len(os.listdir("/proc/self/fd")) == before
