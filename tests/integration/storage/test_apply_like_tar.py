"""What other programs archive is unpacked as they unpack it, field by field."""

from __future__ import annotations

import io
import os
import shutil
import socket
import stat
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.layers import described, unpack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of all owners are made")

NANOSECONDS = 1_234_567_890_123_456_789


def acl(path: Path, text: str, name: str = "system.posix_acl_access") -> None:
    """An access control list by number, in the kernel's form (linux/posix_acl_xattr.h)."""
    tags = {"u": 1, "U": 2, "g": 4, "G": 8, "m": 0x10, "o": 0x20}
    value = (2).to_bytes(4, "little")
    for entry in text.split():
        tag, permissions, *number = entry.split(":")
        value += tags[tag].to_bytes(2, "little") + int(permissions).to_bytes(2, "little")
        value += (int(number[0]) if number else 0xFFFFFFFF).to_bytes(4, "little")
    os.setxattr(path, name, value)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with everything that a file system has."""
    top = tmp_path / "source"
    top.mkdir(mode=0o755)
    (top / "empty").touch()
    (top / "file").write_bytes(b"content\n" * 1000)
    (top / "block").write_bytes(bytes(range(256)) * 2)
    (top / "large").write_bytes(os.urandom(1 << 20) + b"end")
    with (top / "sparse").open("wb") as file:
        for number in range(30):
            file.seek(number * (256 << 10))
            file.write(b"piece %d" % number)
        file.truncate(9 << 20)
    with (top / "hole").open("wb") as file:
        file.truncate(1 << 20)
    (top / "directory/deep/er").mkdir(parents=True)
    (top / "directory/deep/er/file").write_text("below")
    (top / ("long" * 60)).mkdir()
    (top / ("long" * 60) / ("name" * 60)).write_text("long")
    (top / "käse").write_text("umlaut")
    (top / os.fsdecode(b"\xff\xfe")).write_text("no text")
    (top / "back\\slash\nline").write_text("odd")
    (top / "-dash").write_text("option")
    (top / "link").symlink_to("file")
    (top / "dangling").symlink_to("/nowhere/" + "x" * 200)
    (top / os.fsdecode(b"link-\xe4")).symlink_to(os.fsdecode(b"\xe4"))
    os.link(top / "file", top / "zz-hard")
    os.link(top / "file", top / "directory/hard")
    os.link(top / "link", top / "zz-hard-to-link", follow_symlinks=False)
    _special(top)
    for number, (path, directories, files) in enumerate(os.walk(top, topdown=False)):
        for name in (*files, *directories):
            time = NANOSECONDS + number * 1001
            os.utime(f"{path}/{name}", ns=(time, time), follow_symlinks=False)
    os.utime(top / "empty", ns=(0, 0))
    os.utime(top / "block", ns=(-1_500_000_000, -1_500_000_000))
    os.utime(top, ns=(NANOSECONDS, NANOSECONDS))
    return top


def _special(top: Path) -> None:
    """Devices, owners, modes and attributes."""
    os.mkfifo(top / "fifo", 0o640)
    os.mknod(top / "character", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top / "disk", stat.S_IFBLK | 0o660, os.makedev(259, 70_000))
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("nobody-may", 0)):
        (top / name).write_text(name)
        os.chown(top / name, 1000, 2000)
        (top / name).chmod(mode)
    (top / "group").mkdir()
    os.chown(top / "group", 0, 50)
    (top / "group").chmod(0o2775)
    (top / "group/inside").mkdir()
    os.chown(top / "group/inside", 0, 0)
    (top / "group/inside").chmod(0o755)
    (top / "group/file").write_text("of root's group")
    os.chown(top / "group/file", 0, 0)
    (top / "sticky").mkdir()
    (top / "sticky").chmod(0o1777)
    (top / "locked").mkdir()
    (top / "locked/file").write_text("inside")
    (top / "locked").chmod(0)
    os.chown(top / "käse", 3_000_000, 4_000_000)
    os.chown(top / "link", 7, 8, follow_symlinks=False)
    os.setxattr(top / "file", "user.note", b"\0binary\xff\n=")
    os.setxattr(top / "directory", "user.of-directory", b"yes")
    os.setxattr(top / "empty", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    acl(top / "block", "u:6 U:4:1000 g:4 m:4 o:0")


def without(found: dict[str, dict[str, Any]], *fields: str) -> dict[str, dict[str, Any]]:
    return {name: {key: value for key, value in about.items() if key not in fields} for name, about in found.items()}


@pytest.mark.parametrize("form", ["posix", "gnu", "oldgnu"])
def test_everything_that_gnu_tar_archives(form: str, source: Path, tmp_path: Path) -> None:
    options = ["--xattrs", "--xattrs-include=*"] if form == "posix" else []
    archive = subprocess.run(
        ["tar", f"--format={form}", *options, "--sparse", "--numeric-owner", "-C", str(source), "-c", "."],
        check=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    subprocess.run(["tar", *options, "--numeric-owner", "-p", "-C", str(theirs), "-x"], input=archive, check=True)
    applied = unpack(archive, tmp_path / "ours")
    ours = described(tmp_path / "ours")
    assert ours == described(theirs)
    assert applied.warnings == []
    assert applied.implicit_directories == []
    if form == "posix":
        assert ours == described(source)
    assert ours["sparse"]["data"] == described(source)["sparse"]["data"]
    assert ours["hole"]["data"] == []


@pytest.mark.parametrize("form", ["0.0", "0.1", "1.0"])
def test_sparse_files_in_the_forms_of_gnu_tar(form: str, source: Path, tmp_path: Path) -> None:
    command = [
        "tar",
        "--format=posix",
        "--sparse",
        f"--sparse-version={form}",
        "-C",
        str(source),
        "-c",
        "sparse",
        "hole",
        "file",
    ]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    assert len(archive) < 1 << 20
    unpack(archive, tmp_path / "ours")
    ours, original = described(tmp_path / "ours"), described(source)
    for name in ("sparse", "hole", "file"):
        for field in ("content", "data", "mtime"):
            assert ours[name][field] == original[name][field]


@pytest.mark.parametrize("form", ["ustar", "v7"])
def test_old_formats_with_what_they_can_hold(form: str, source: Path, tmp_path: Path) -> None:
    names = ["empty", "file", "directory", "link", "zz-hard", "setuid", "group"]
    names += ["fifo", "character"] if form == "ustar" else []
    command = ["tar", f"--format={form}", "--numeric-owner", "-C", str(source), "-c", *names]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    subprocess.run(["tar", "--numeric-owner", "-p", "-C", str(theirs), "-x"], input=archive, check=True)
    applied = unpack(archive, tmp_path / "ours")
    assert applied.implicit_directories == [b""]
    ours, others = described(tmp_path / "ours"), described(theirs)
    del ours["."], others["."]
    assert ours == others


@pytest.mark.parametrize("form", ["pax", "gnutar", "ustar", "v7"])
def test_everything_that_bsdtar_archives(form: str, source: Path, tmp_path: Path) -> None:
    if not shutil.which("bsdtar"):
        pytest.skip("needs bsdtar (Debian's libarchive-tools)")
    if form != "pax":
        # What the format cannot hold would only be left out with a complaint.
        shutil.rmtree(source / ("long" * 60))
        for name in ("dangling", "disk", "käse", os.fsdecode(b"\xff\xfe"), os.fsdecode(b"link-\xe4"), "block"):
            (source / name).unlink()
        if form == "v7":
            for name in ("fifo", "character"):
                (source / name).unlink()
    command = [
        "bsdtar",
        f"--format={form}",
        "--numeric-owner",
        "--acls",
        "--no-fflags",
        "-C",
        str(source),
        "-c",
        ".",
    ]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={"LC_ALL": "C.UTF-8"}).stdout
    unpack(archive, tmp_path / "ours")
    ignored = () if form == "pax" else ("mtime", "xattrs", "data")
    expected = described(source)
    if form == "pax":
        expected["block"]["mtime"] = -2_500_000_000  # it writes -1.5 as -2 and 0.5
    assert without(described(tmp_path / "ours"), *ignored) == without(expected, *ignored)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_everything_that_python_archives(form: int, source: Path, tmp_path: Path) -> None:
    (source / "zz-hard-to-link").unlink()  # for Python only files have several names
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=form) as archive:
        archive.add(source, ".")
    unpack(output.getvalue(), tmp_path / "ours")
    # Python keeps neither attributes nor holes, and floating-point times.
    ignored = ("xattrs", "data", "mtime")
    assert without(described(tmp_path / "ours"), *ignored) == without(described(source), *ignored)


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_access_control_lists_in_words(program: str, tmp_path: Path) -> None:
    if not shutil.which(program):
        pytest.skip("needs bsdtar (Debian's libarchive-tools)")
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    (source / "directory").mkdir()
    acl(source / "file", "u:6 U:4:61000 U:5:70000 g:4 G:1:62000 m:5 o:0")
    acl(source / "directory", "u:7 g:5 G:7:62000 m:7 o:5", "system.posix_acl_default")
    command = [program, "--format=posix", "--acls", "--numeric-owner", "-C", str(source), "-c", "."]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    assert b"SCHILY.acl.access" in archive
    applied = unpack(archive, tmp_path / "ours")
    assert applied.warnings == []
    ours, original = described(tmp_path / "ours"), described(source)
    for name in ("file", "directory"):
        assert ours[name]["xattrs"] == original[name]["xattrs"]
        assert ours[name]["mode"] == original[name]["mode"]


def test_sockets_are_not_archived_and_nothing_is_missed(source: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
        command = ["tar", "--format=posix", "-C", str(source), "-c", "socket", "file"]
        archive = subprocess.run(command, check=False, capture_output=True).stdout
    unpack(archive, tmp_path / "ours")
    assert set(described(tmp_path / "ours")) == {".", "file"}


def test_layers_that_umoci_makes(source: Path, tmp_path: Path) -> None:
    if not shutil.which("umoci"):
        pytest.skip("needs umoci, which writes layers with Go's archive/tar as Docker does")
    layout = tmp_path / "layout"
    for arguments in (
        ["init", "--layout", str(layout)],
        ["new", "--image", f"{layout}:test"],
        ["insert", "--image", f"{layout}:test", str(source), "/below"],
    ):
        subprocess.run(["umoci", *arguments], check=True, capture_output=True)
    blobs = sorted((layout / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    applied = unpack(
        blobs[-1].read_bytes(), tmp_path / "ours", media_type="application/vnd.oci.image.layer.v1.tar+gzip"
    )
    assert applied.warnings == []
    ours, original = described(tmp_path / "ours/below"), described(source)
    for about in original.values():
        about["mtime"] = int(about["mtime"] / 10**9) * 10**9
    # umoci has whole seconds and no holes.
    assert without(ours, "data") == without(original, "data")


def test_a_list_of_what_a_directory_had_is_passed_over(source: Path, tmp_path: Path) -> None:
    command = ["tar", "--format=gnu", f"--listed-incremental={tmp_path}/list", "-C", str(source), "-c", "directory"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    unpack(archive, tmp_path / "ours")
    assert (tmp_path / "ours/directory/deep/er/file").read_text() == "below"
