"""A layer says all that differs between two trees, whichever driver keeps them, and always in the same bytes."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from orlop.linux import mount
from orlop.storage import digest, mounts
from orlop.storage.blobs import Blobs
from orlop.storage.layers import apply, diff, inherit, tar_writer
from orlop.storage.layers.changes import Source, walk
from orlop.storage.snapshots.overlay import _options

from . import random_trees
from .conftest import ROOTLESS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orlop.storage.mounts import Mount
    from orlop.storage.snapshots.directory import SnapshotDirectory

    from .random_trees import Operation

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: mounts an overlay, and makes files of all owners"
)

MARKS = "user.overlay." if ROOTLESS else "trusted.overlay."
#: ORLOP_SOAK multiplies what is tried.
MORE = float(os.environ.get("ORLOP_SOAK", "1"))


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def layer(source: Source) -> bytes:
    content = io.BytesIO()
    archive = tar_writer.TarWriter(content)
    diff.write(walk(source), archive)
    archive.finish()
    return content.getvalue()


def layer_of_trees(tree: str, parent: str) -> bytes:
    with opened(tree) as directory, opened(parent) as other:
        return layer(Source(directory, other))


def names(content: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getnames()


class Overlay:
    """A tree that is mounted over a parent's, and a plain copy of that parent beside it."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.lower, self.upper, self.plain = (f"{place}/{name}" for name in ("lower", "upper", "plain"))
        for path in (self.lower, self.upper, self.plain, f"{place}/work"):
            os.mkdir(path)

    @contextlib.contextmanager
    def mounted(self, *, again: bool = False) -> Iterator[str]:
        """The merged tree's path."""
        if not again:
            shutil.copystat(self.lower, self.upper)
            about = os.stat(self.lower)
            os.chown(self.upper, about.st_uid, about.st_gid)
        options = [f"lowerdir={self.lower}", f"upperdir={self.upper}", f"workdir={self.place}/work"]
        options += _options(rootless=ROOTLESS)
        root = mount.new("overlay", "overlay", data=options)
        try:
            yield f"/proc/self/fd/{root}/."
        finally:
            os.close(root)

    def layer(self) -> bytes:
        with opened(self.upper) as upper, opened(self.lower) as lower:
            return layer(Source(upper, lower, marks=MARKS))


@contextlib.contextmanager
def overlay() -> Iterator[Overlay]:
    with tempfile.TemporaryDirectory(prefix="orlop-diff-") as place:
        yield Overlay(place)


@settings(max_examples=int(40 * MORE), deadline=None)
@given(random_trees.operations, random_trees.operations)
def test_an_overlay_and_two_trees_give_the_same_layer_and_it_says_everything(
    first: list[Operation], then: list[Operation]
) -> None:
    with overlay() as place:
        random_trees.change([place.lower, place.plain], first)
        for root in (place.lower, place.plain):
            random_trees.settle(root, "first")
        before = random_trees.describe(place.lower)
        assert random_trees.describe(place.plain) == before
        with place.mounted() as merged:
            random_trees.change([merged, place.plain], then)
            for root in (merged, place.plain):
                random_trees.settle(root, "then")
        # While it is mounted, overlay remembers inode numbers from before it copied files up.
        with place.mounted(again=True) as merged:
            after = random_trees.describe(merged)
        assert random_trees.describe(place.plain) == after
        made = place.layer()
        assert made == layer_of_trees(place.plain, place.lower)
        assert random_trees.apply_on_paper(before, made) == after


def fill(root: str, *paths: str) -> None:
    for path in paths:
        os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
        if not path.endswith("/"):
            with open(f"{root}/{path}", "x") as file:
                file.write(path)


def test_what_overlay_copies_up_and_does_not_change_is_left_out() -> None:
    with overlay() as place:
        fill(place.lower, "directory/file", "directory/other", "gone-again")
        with place.mounted() as merged:
            os.chmod(f"{merged}/directory/file", stat.S_IMODE(os.lstat(f"{merged}/directory/file").st_mode))
        assert os.listdir(f"{place.upper}/directory") == ["file"]
        assert names(place.layer()) == []


def test_a_whiteout_that_hides_nothing_is_left_out() -> None:
    with overlay() as place:
        fill(place.lower, "directory/file", "directory/other")
        with place.mounted() as merged:
            os.unlink(f"{merged}/directory/file")
        os.unlink(f"{place.lower}/directory/file")
        assert os.listdir(f"{place.upper}/directory") == ["file"]
        assert not [name for name in names(place.layer()) if ".wh." in name]


def test_a_directory_that_is_new_hides_nothing_though_overlay_calls_it_opaque() -> None:
    with overlay() as place:
        fill(place.lower, "directory/file")
        with place.mounted() as merged:
            fill(merged, "directory/new/file")
        # It does so where layers are not to be changed behind its back (ovl_allow_offline_changes).
        os.setxattr(f"{place.upper}/directory/new", f"{MARKS}opaque", b"y")
        assert names(place.layer()) == [".", "directory", "directory/new", "directory/new/file"]


def test_a_directory_that_was_made_anew_tells_what_is_gone() -> None:
    with overlay() as place:
        fill(place.lower, "all/a", "all/b", "some/a", "some/b", "some/below/c")
        with place.mounted() as merged:
            for name in ("all", "some"):
                shutil.rmtree(f"{merged}/{name}")
            fill(merged, "all/new", "some/b")
        assert names(place.layer()) == [
            *(".", "all", "all/.wh..wh..opq", "all/new"),
            *("some", "some/.wh.a", "some/.wh.below", "some/b"),
        ]


def test_whiteouts_in_the_form_of_attributes_are_known() -> None:
    with overlay() as place:
        for directory in ("marked", "plain"):
            fill(place.lower, f"{directory}/gone", f"{directory}/kept")
            os.mkdir(f"{place.upper}/{directory}")
            with open(f"{place.upper}/{directory}/gone", "x") as file:
                os.setxattr(file.fileno(), f"{MARKS}whiteout", b"")
        # Only in layers and directories with this mark overlay looks for them (fs/overlayfs, Linux 6.7).
        for path in (place.upper, f"{place.upper}/marked"):
            os.setxattr(path, f"{MARKS}opaque", b"x")
        os.mkdir(f"{place.place}/empty")
        layers = f"lowerdir={place.place}/empty:{place.upper}:{place.lower}"
        view = mount.new("overlay", "overlay", data=[layers, *_options(rootless=ROOTLESS)])
        try:
            assert os.listdir(f"/proc/self/fd/{view}/marked") == ["kept"]
            assert sorted(os.listdir(f"/proc/self/fd/{view}/plain")) == ["gone", "kept"]
        finally:
            os.close(view)
        assert names(place.layer()) == [".", "marked", "marked/.wh.gone", "plain", "plain/gone"]


@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
def test_a_layer_is_stored_under_its_digest_and_has_a_diff_id(
    snapshots: SnapshotDirectory, compression: str, tmp_path: Path
) -> None:
    blobs = Blobs(str(tmp_path / "images"))
    blobs.prepare()
    with mounts.attached(snapshots.prepare("key")) as root:
        fill(f"/proc/self/fd/{root}", "directory/file")
    made = diff.create(snapshots.diff_base("key"), blobs, compression, clamp=1000)
    blobs.verify(made.digest)
    assert blobs.size(made.digest) == made.size
    program = {"": ["cat"], "gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dc"]}[compression]
    if not shutil.which(program[0]):
        pytest.skip(f"needs {program[0]}")
    with open(blobs.path(made.digest), "rb") as blob:
        content = subprocess.run(program, stdin=blob, capture_output=True, check=True).stdout
    assert digest.of(content) == made.diff_id
    assert len(content) == made.uncompressed_size
    assert names(content) == [".", "directory", "directory/file"]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert {member.mtime for member in archive} == {1000}


def test_an_export_is_the_whole_tree() -> None:
    with overlay() as place:
        fill(place.lower, "directory/file", "directory/other")
        with place.mounted() as merged:
            os.unlink(f"{merged}/directory/other")
            fill(merged, "directory/.wh.new")
            os.link(f"{merged}/directory/file", f"{merged}/link")
            before = random_trees.describe(merged)
            with tempfile.TemporaryFile(dir=place.place) as archive, opened(merged) as directory:
                diff.export(directory, archive.fileno())
                archive.seek(0)
                subprocess.run(["tar", "-C", place.plain, "-xp", "--xattrs"], stdin=archive, check=True)
        assert random_trees.describe(place.plain) == before


class Drawn:
    """One snapshot after the other, of a driver, and what plain directories say that its layers should be."""

    def __init__(self, snapshots: SnapshotDirectory, place: str) -> None:
        self.snapshots = snapshots
        self.place = place
        self.blobs = Blobs(f"{place}/images")
        self.blobs.prepare()
        self.plain = f"{place}/plain"
        self.before = f"{place}/before"
        os.mkdir(self.plain, 0o755)
        os.mkdir(self.before)
        self.parent = ""
        self.made = 0

    def next(self, operations: Sequence[Operation]) -> bytes:
        """Change the tree, make its layer, unpack that on the parent, and commit the result; returns the layer."""
        key, again = f"changed-{self.made}", f"again-{self.made}"
        writable = self.snapshots.prepare(key, self.parent)
        with mounts.attached(writable) as root:
            merged = f"/proc/self/fd/{root}/."
            if not self.parent:
                os.utime(merged, (1, 1))
                os.utime(self.plain, (1, 1))
            random_trees.change([merged, self.plain], list(operations))
            for tree in (merged, self.plain):
                if not os.path.lexists(f"{tree}/kept"):
                    fill(tree, "kept")  # the root of an empty tree has no time of its own in a target
                random_trees.settle(tree, key)
        after = self.described(self.snapshots.mounts(key))
        assert random_trees.describe(self.plain) == after
        made = diff.create(self.snapshots.diff_base(key), self.blobs, "")
        mounted = self.unpack(made.digest, again)
        assert self.described(mounted) == after
        assert diff.create(self.snapshots.diff_base(again), self.blobs, "").digest == made.digest
        self.snapshots.remove(key)
        self.parent = "sha256:" + f"{self.made:064x}"
        self.snapshots.commit(self.parent, again)
        self.made += 1
        return self.blobs.read(made.digest, 1 << 26)

    def unpack(self, blob: str, key: str) -> list[Mount]:
        mounted = self.snapshots.prepare(key, self.parent)
        target = self.snapshots.unpack_target(key)
        source = self.blobs.open(blob)
        try:
            applied = apply.apply(source, target)
        finally:
            os.close(source)
        if target.form == "overlay":
            # All parents are in a layer, but an empty one does not even name the root.
            assert applied.implicit_directories == ([] if applied.entries else [b""])
        if self.parent and target.form == "overlay":
            inherit.metadata(self.snapshots.mounts(self.parent), target.path, applied.implicit_directories)
        assert applied.warnings == []
        return mounted

    def described(self, mounted: list[Mount]) -> random_trees.Description:
        with mounts.attached(mounted) as root:
            return random_trees.describe(f"/proc/self/fd/{root}/.")

    def forget(self) -> None:
        self.snapshots.discard(info.name for info in self.snapshots.walk())
        self.snapshots.cleanup()


@settings(
    max_examples=int(6 * MORE),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.generate],  # to shrink what fails takes minutes
)
@given(random_trees.operations, random_trees.operations, random_trees.operations)
def test_layers_of_every_driver_unpack_to_the_same_tree_and_are_the_same_again(
    snapshots: SnapshotDirectory, first: list[Operation], second: list[Operation], third: list[Operation]
) -> None:
    with tempfile.TemporaryDirectory(prefix="orlop-diff-") as place:
        drawn = Drawn(snapshots, place)
        try:
            for operations in (first, second, third):
                made = drawn.next(operations)
                if drawn.made > 1:
                    assert made == layer_of_trees(drawn.plain, drawn.before)
                random_trees.remove_sockets(drawn.plain)
                shutil.rmtree(drawn.before)
                subprocess.run(["cp", "-a", drawn.plain, drawn.before], check=True)
        finally:
            drawn.forget()
