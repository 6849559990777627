"""What only the overlay driver has: stacks of layers, the kernel's marks in them, and kernels before Linux 6.7."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from orlop.errors import OrlopError, Unsupported
from orlop.linux import mount
from orlop.storage import mounts, older_overlay
from orlop.storage.mounts import Mount
from orlop.storage.snapshots import choice
from orlop.storage.snapshots.overlay import Overlay

from .conftest import ROOTLESS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: overlays are mounted for real")

FIRST = "sha256:" + "1" * 64
SECOND = "sha256:" + "2" * 64


def open_overlay(directory: Path) -> Overlay:
    made = choice.open_snapshots(str(directory), asked="overlay", rootless=ROOTLESS)
    assert isinstance(made, Overlay)
    return made


def stack(snapshots: Overlay, count: int) -> str:
    """Layers with a file each, one upon the other; the name of the uppermost."""
    parent = ""
    for number in range(count):
        snapshots.prepare("key", parent)
        Path(snapshots.unpack_target("key").path, f"file{number}").touch()
        parent = f"sha256:{number:064x}"
        snapshots.commit(parent, "key")
    return parent


def path_of(root: int) -> Path:
    return Path(f"/proc/self/fd/{root}")


def test_hundreds_of_layers_are_one_tree_that_can_be_written_to(tmp_path: Path) -> None:
    snapshots = open_overlay(tmp_path / "snapshots")
    top = stack(snapshots, 400)
    assert sum(map(len, snapshots.mounts(top)[0].options)) > 10 * os.sysconf("SC_PAGESIZE")
    with mounts.attached(snapshots.prepare("key", top)) as root:
        assert len(os.listdir(root)) == 400
        (path_of(root) / "file0").unlink()
        (path_of(root) / "file399").write_text("changed")
        assert len(os.listdir(root)) == 399
    with mounts.attached(snapshots.mounts(top)) as root:
        assert len(os.listdir(root)) == 400
    assert sorted(os.listdir(snapshots.unpack_target("key").path)) == ["file0", "file399"]


def test_more_layers_than_the_kernel_stacks_are_refused(tmp_path: Path) -> None:
    snapshots = open_overlay(tmp_path / "snapshots")
    top = stack(snapshots, 500)
    with mounts.attached(snapshots.mounts(top)) as root:
        assert len(os.listdir(root)) == 500
    with pytest.raises(Unsupported, match=f"nothing can be made upon {top}: it has 500 layers, and overlay takes 499"):
        snapshots.prepare("key", top)
    assert not snapshots.has("key")
    snapshots.prepare("independent")
    with pytest.raises(Unsupported, match="it has 500 layers"):
        snapshots.commit(FIRST, "independent", parent=top)
    snapshots.remove("independent")
    assert set(os.listdir(snapshots.directory)) == {".empty", *(info.name for info in snapshots.walk())}


@pytest.mark.parametrize("name", ["x" * 200, "with,comma", "back\\slash", "co:lon", "equals=", "new\nline", "spa ce"])
def test_paths_may_be_long_and_have_any_character(tmp_path: Path, name: str) -> None:
    snapshots = open_overlay(tmp_path / name / "snapshots")
    top = stack(snapshots, 3)
    with mounts.attached(snapshots.prepare("key", top)) as root:
        (path_of(root) / "new").touch()
        assert sorted(os.listdir(root)) == ["file0", "file1", "file2", "new"]
    with mounts.attached(snapshots.view("view", top)) as root:
        assert sorted(os.listdir(root)) == ["file0", "file1", "file2"]


def test_the_root_directory_is_the_uppermost_layers(tmp_path: Path) -> None:
    snapshots = open_overlay(tmp_path / "snapshots")
    stack(snapshots, 1)
    snapshots.prepare("key", f"sha256:{0:064x}")
    target = snapshots.unpack_target("key").path
    os.chown(target, 12, 13)
    os.chmod(target, 0o2751)
    os.utime(target, ns=(1, 123_456_789_012))
    snapshots.commit(FIRST, "key")
    for seen in (snapshots.prepare("child", FIRST), snapshots.view("view", FIRST)):
        with mounts.attached(seen) as root:
            status = os.fstat(root)
            assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o2751, 12, 13)
            assert status.st_mtime_ns == 123_456_789_012


def test_a_reference_that_a_hostile_layer_brings_is_not_followed(tmp_path: Path) -> None:
    snapshots = open_overlay(tmp_path / "snapshots")
    snapshots.prepare("key")
    bottom = Path(snapshots.unpack_target("key").path)
    (bottom / "secret").mkdir()
    (bottom / "secret/file").write_text("private")
    snapshots.commit(FIRST, "key")
    snapshots.prepare("key", FIRST)
    layer = Path(snapshots.unpack_target("key").path)
    (layer / "innocent").mkdir()
    prefix = "user" if ROOTLESS else "trusted"
    os.setxattr(layer / "innocent", f"{prefix}.overlay.redirect", b"/secret")
    snapshots.commit(SECOND, "key")
    with mounts.attached(snapshots.prepare("key", SECOND)) as root:
        try:
            assert os.listdir(path_of(root) / "innocent") == []
        except OSError as error:
            assert error.errno == 1  # EPERM: overlay refuses what it may not follow


def test_a_killed_process_leaves_no_mount(tmp_path: Path) -> None:
    snapshots = open_overlay(tmp_path / "snapshots")
    top = stack(snapshots, 2)
    made = snapshots.prepare("key", top)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with mounts.attached(made):
            os.write(writer, b"1")
            signal.pause()
        os._exit(1)
    assert os.read(reader, 1) == b"1"
    assert str(tmp_path) not in Path(f"/proc/{pid}/mountinfo").read_text()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
    os.close(writer)
    with mounts.attached(made) as root:
        assert sorted(os.listdir(root)) == ["file0", "file1"]


@pytest.mark.parametrize("layers", [1, 5, 40, 300])
def test_older_kernels_get_the_same_mount_by_descriptors(tmp_path: Path, layers: int) -> None:
    snapshots = open_overlay(tmp_path / "with,comma" / "snapshots")
    top = stack(snapshots, layers)
    opened = set(os.listdir("/proc/self/fd"))
    for seen, writable in ((snapshots.prepare("key", top), True), (snapshots.mounts(top), False)):
        attributes = 0 if writable else mount.MOUNT_ATTR_RDONLY
        root = older_overlay.new(seen[0].options, attributes)
        assert len(os.listdir(path_of(root))) == layers
        if writable:
            (path_of(root) / "file0").unlink()
            assert len(os.listdir(path_of(root))) == layers - 1
        else:
            with pytest.raises(OSError, match="Read-only"):
                (path_of(root) / "new").touch()
        os.close(root)
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert set(os.listdir("/proc/self/fd")) == opened


def test_older_kernels_say_what_they_cannot_mount(tmp_path: Path) -> None:
    snapshots = open_overlay(tmp_path / "snapshots")
    options = snapshots.mounts(stack(snapshots, 40))[0].options
    with pytest.raises(OrlopError, match="overlay cannot be mounted: mount overlay: Invalid argument"):
        older_overlay.new([*options, "nonsense=1"], 0)


def test_a_mount_is_the_same_after_a_way_through_json(tmp_path: Path) -> None:
    snapshots = open_overlay(tmp_path / "snapshots")
    made = snapshots.prepare("key", stack(snapshots, 2))
    assert [Mount.from_json(each.as_json()) for each in made] == made


def test_what_was_mounted_without_being_written_out_is_mounted_again(tmp_path: Path) -> None:
    snapshots = open_overlay(tmp_path / "snapshots")
    shown = mounts.volatile(snapshots.prepare("key", stack(snapshots, 1)))
    for number in range(2):
        with mounts.attached(shown) as root:
            (path_of(root) / f"new{number}").touch()
    for _ in range(2):
        os.close(mounts.attach(shown))  # by somebody who has to begin anew
    mounts.settle(shown)
    with mounts.attached(snapshots.mounts("key")) as root:
        assert sorted(os.listdir(root)) == ["file0", "new0", "new1"]
    snapshots.commit(SECOND, "key")


def test_only_overlays_that_can_be_written_to_are_mounted_without_being_written_out(tmp_path: Path) -> None:
    snapshots = open_overlay(tmp_path / "snapshots")
    top = stack(snapshots, 2)
    assert mounts.volatile(snapshots.mounts(top)) == snapshots.mounts(top)
    bind = snapshots.prepare("key")
    assert mounts.volatile(bind) == bind
