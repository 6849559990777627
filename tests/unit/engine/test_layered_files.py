"""Files of a snapshot are found as overlay would show them, without mounting it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from orlop.engine import layered_files, users
from orlop.errors import InvalidArgument
from orlop.storage.mounts import Mount

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 1 << 20


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    """Three layers, the uppermost first."""
    made = [tmp_path / name for name in ("top", "middle", "bottom")]
    for each in made:
        each.mkdir()
    return made


def read(layers: list[Path], path: str) -> str | None:
    options = [
        f"upperdir={layers[0]}",
        f"workdir={layers[0]}",
        *(f"lowerdir+={each}" for each in layers[1:]),
        "userxattr",
    ]
    return layered_files.read([Mount("overlay", "overlay", options)], path, LIMIT)


def write(layer: Path, path: str, text: str = "") -> None:
    target = layer / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def white_out(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(0, 0))
    except PermissionError:
        pytest.skip("this kernel lets only root make whiteouts")


def make_opaque(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    try:
        os.setxattr(directory, "user.overlay.opaque", b"y")
    except OSError:
        pytest.skip("the file system has no attributes of users")


def test_the_uppermost_file_counts(layers: list[Path]) -> None:
    for number, each in enumerate(layers):
        write(each, "etc/passwd", str(number))
    write(layers[2], "etc/group", "below")
    assert read(layers, "/etc/passwd") == "0"
    assert read(layers, "etc/group") == "below"
    assert read(layers, "etc/other") is None


def test_a_whiteout_hides_a_file_and_a_directory(layers: list[Path]) -> None:
    write(layers[2], "etc/passwd", "gone")
    write(layers[2], "opt/file", "gone")
    white_out(layers[1] / "etc/passwd")
    white_out(layers[1] / "opt")
    assert read(layers, "etc/passwd") is None
    assert read(layers, "opt/file") is None
    write(layers[0], "opt/new", "new")
    assert read(layers, "opt/new") == "new"
    assert read(layers, "opt/file") is None


def test_an_opaque_directory_shows_nothing_of_those_below(layers: list[Path]) -> None:
    write(layers[2], "etc/passwd", "hidden")
    make_opaque(layers[1] / "etc")
    write(layers[1], "etc/group", "there")
    (layers[0] / "etc").mkdir()
    assert read(layers, "etc/passwd") is None
    assert read(layers, "etc/group") == "there"


def test_a_file_hides_the_directory_below_it_and_a_directory_the_file(layers: list[Path]) -> None:
    write(layers[2], "a/file", "hidden")
    write(layers[1], "a", "a file")
    assert read(layers, "a/file") is None
    assert read(layers, "a") == "a file"
    write(layers[1], "b", "a file")
    write(layers[0], "b/file", "shown")
    write(layers[2], "b/other", "hidden")
    assert read(layers, "b/file") == "shown"
    assert read(layers, "b/other") is None


def test_links_are_followed_across_layers_and_never_out(layers: list[Path]) -> None:
    write(layers[2], "usr/etc/passwd", "linked")
    (layers[0] / "etc").symlink_to("/alias/../usr/./etc")
    (layers[1] / "alias").symlink_to("usr")
    (layers[1] / "up").symlink_to("../../../../../../../etc/hostname")
    assert read(layers, "etc/passwd") == "linked"
    assert read(layers, "up") is None
    assert read(layers, "../../usr/etc/passwd") == "linked"


def test_links_in_a_circle_lead_nowhere(layers: list[Path]) -> None:
    (layers[0] / "a").symlink_to("b")
    (layers[1] / "b").symlink_to("a")
    (layers[1] / "long").symlink_to("x" * 300)
    assert read(layers, "a") is None
    assert read(layers, "long") is None


def test_what_is_no_regular_file_is_not_opened(layers: list[Path]) -> None:
    os.mkfifo(layers[0] / "fifo")
    (layers[0] / "directory").mkdir()
    assert read(layers, "fifo") is None
    assert read(layers, "directory") is None


def test_a_long_file_is_read_to_its_limit(layers: list[Path]) -> None:
    write(layers[0], "long", "x" * 100)
    assert layered_files.read([Mount("bind", str(layers[0]), ["rbind"])], "long", 10) == "x" * 10


def test_no_descriptor_stays_open(layers: list[Path]) -> None:
    write(layers[2], "etc/passwd", "x")
    before = os.listdir("/proc/self/fd")
    read(layers, "etc/passwd")
    read(layers, "etc/none")
    assert os.listdir("/proc/self/fd") == before


def test_a_user_is_found_by_the_files_of_the_layers(layers: list[Path]) -> None:
    write(layers[1], "etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:5:6::/srv:/bin/sh\n")
    write(layers[2], "etc/group", "logs:x:7:web\n")
    mounts = [Mount("overlay", "overlay", [f"lowerdir+={each}" for each in layers])]
    if os.geteuid() != 0:
        mounts[0].options.append("userxattr")
    found = users.find_in_snapshot(mounts, "web")
    assert (found.uid, found.gid, found.groups, found.home) == (5, 6, [7], "/srv")


def test_a_mount_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="zfs"):
        layered_files.read([Mount("zfs", "pool", [])], "etc/passwd", LIMIT)
