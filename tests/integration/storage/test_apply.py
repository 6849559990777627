"""What a layer's entries become, in both forms that storage drivers have."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from orlop.errors import DigestMismatch, InsufficientSpace, InvalidArchive, OrlopError
from orlop.storage.layers import apply, confinement
from orlop.storage.layers.limits import Limits
from orlop.storage.snapshots.interface import MERGED, OVERLAY, Target
from orlop.third_party import load
from tests.layers import (
    BLOCK,
    CHARACTER,
    DIRECTORY,
    END,
    FIFO,
    FILE,
    HARD_LINK,
    SYMBOLIC_LINK,
    described,
    directory,
    header,
    member,
    pax,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of all owners are made")

both_forms = pytest.mark.parametrize("form", [OVERLAY, MERGED])


def attribute(name: bytes, value: bytes) -> bytes:
    return pax({b"SCHILY.xattr." + name: value})


def symbolic_link(name: bytes, target: bytes) -> bytes:
    return header(name, SYMBOLIC_LINK, link=target)


def hard_link(name: bytes, target: bytes) -> bytes:
    return header(name, HARD_LINK, link=target)


def is_whiteout(path: Path) -> bool:
    about = path.lstat()
    return stat.S_ISCHR(about.st_mode) and about.st_rdev == 0


def opaque(path: Path, namespace: str = "trusted") -> bool:
    try:
        return os.getxattr(path, f"{namespace}.overlay.opaque") == b"y"
    except OSError:
        return False


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path))


@both_forms
def test_the_digest_and_the_size_are_those_of_the_archive(form: str, tmp_path: Path) -> None:
    archive = member(b"file", b"data") + END + bytes(8192)
    expected = "sha256:" + hashlib.sha256(archive).hexdigest()
    zstd = load("backports.zstd", "testing")
    for number, data in enumerate((archive, gzip.compress(archive), zstd.compress(archive))):
        applied = unpack(data, tmp_path / str(number), form)
        assert (applied.diff_id, applied.size, applied.entries) == (expected, len(archive), 1)
        assert names(tmp_path / str(number)) == ["file"]
    applied = unpack(archive, tmp_path / "512", form, diff_id="sha512:" + hashlib.sha512(archive).hexdigest())
    assert applied.diff_id.startswith("sha512:")


def test_another_digest_than_expected_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DigestMismatch, match=r"has the digest sha256:.* and not sha256:0000"):
        unpack(member(b"file") + END, tmp_path / "out", diff_id="sha256:" + "0" * 64)


def test_an_archive_without_its_end_mark_needs_something_else_that_says_that_it_is_whole(tmp_path: Path) -> None:
    archive = member(b"file", b"data")
    with pytest.raises(InvalidArchive, match="without an end mark"):
        unpack(archive, tmp_path / "none")
    with pytest.raises(InvalidArchive, match="without an end mark"):
        unpack(archive + bytes(512), tmp_path / "half")
    unpack(gzip.compress(archive), tmp_path / "gzip")
    unpack(archive, tmp_path / "digest", diff_id="sha256:" + hashlib.sha256(archive).hexdigest())
    unpack(gzip.compress(b""), tmp_path / "empty")
    unpack(gzip.compress(archive[:516]), tmp_path / "unpadded")
    assert (tmp_path / "unpadded/file").read_text() == "data"
    with pytest.raises(InvalidArchive, match="inside an entry"):
        unpack(gzip.compress(archive[:515]), tmp_path / "cut")


def test_a_layer_can_come_through_a_pipe(tmp_path: Path) -> None:
    archive = gzip.compress(member(b"file", os.urandom(1 << 20)) + END)
    reader, writer = os.pipe()
    target = tmp_path / "out"
    target.mkdir()

    def write() -> None:
        with open(writer, "wb") as file:
            file.write(archive)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        apply.apply(reader, Target(str(target), OVERLAY, rootless=False))
    finally:
        thread.join()
        os.close(reader)
    assert (target / "file").stat().st_size == 1 << 20


def test_an_error_does_not_wait_for_the_rest_of_a_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    target = tmp_path / "out"
    target.mkdir()
    try:
        os.write(writer, gzip.compress(member(b"../f"))[:-8])
        os.write(writer, bytes(8192))
        with pytest.raises(InvalidArchive, match="damaged"):
            apply.apply(reader, Target(str(target), OVERLAY, rootless=False))
        os.write(writer, member(b"../f") * 2 + bytes(20_000))
        with pytest.raises(InvalidArchive, match=r"'\.\.' in it"):
            apply.apply(reader, Target(str(target), OVERLAY, rootless=False))
    finally:
        os.close(reader)
        os.close(writer)


def children() -> set[int]:
    """The processes that this one has forked and not yet waited for; other tests' servers may be among them."""
    found: set[int] = set()
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/children") as file:
            found.update(int(word) for word in file.read().split())
    return found


def test_an_interrupted_call_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(descriptor: int) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(confinement, "_read", interrupted)
    before = children()
    with pytest.raises(KeyboardInterrupt):
        unpack(member(b"f") + END, tmp_path / "out")
    assert children() == before


def test_many_threads_can_unpack_at_the_same_time(tmp_path: Path) -> None:
    archive = gzip.compress(b"".join(member(b"file-%d" % number, os.urandom(2000)) for number in range(300)) + END)
    digests = []
    threads = [
        threading.Thread(target=lambda number=number: digests.append(unpack(archive, tmp_path / str(number)).diff_id))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 4
    assert len(set(digests)) == 1
    assert all(len(names(tmp_path / str(number))) == 300 for number in range(4))


@both_forms
def test_directories_keep_their_times_whenever_something_is_put_into_them(form: str, tmp_path: Path) -> None:
    archive = b"".join(directory(b"d%d/" % number, mtime=1000 + number) for number in range(300))
    archive += b"".join(member(b"d%d/file" % number) for number in range(300))
    archive += hard_link(b"d7/link", b"d0/file") + header(b"d8/.wh.x") + symbolic_link(b"d9/link", b"x") + END
    unpack(directory(b"./", mtime=77) + archive, tmp_path / "out", form)
    assert int((tmp_path / "out").stat().st_mtime) == 77
    assert [int((tmp_path / f"out/d{number}").stat().st_mtime) for number in range(300)] == list(range(1000, 1300))


@both_forms
def test_directories_that_are_not_named_are_made_and_told(form: str, tmp_path: Path) -> None:
    archive = member(b"a/b/file") + directory(b"a/", mode=0o700) + member(b"./c//d/./e") + END
    applied = unpack(archive, tmp_path / "out", form)
    assert applied.implicit_directories == [b"", b"a/b", b"c", b"c/d"]
    about = (tmp_path / "out/a/b").stat()
    assert (stat.S_IMODE(about.st_mode), about.st_uid, about.st_mtime) == (0o755, 0, 0)
    assert stat.S_IMODE((tmp_path / "out/a").stat().st_mode) == 0o700
    assert (tmp_path / "out/c/d/e").exists()


@both_forms
def test_directories_in_opaque_ones_have_nothing_below_that_they_are_to_be_like(form: str, tmp_path: Path) -> None:
    archive = member(b"b/d/file") + header(b"b/.wh..wh..opq") + member(b"c/d/file") + END
    applied = unpack(archive, tmp_path / "out", form)
    assert applied.implicit_directories == [b"", b"b", b"c", b"c/d"]


def test_names_that_are_no_text_are_told_as_they_are(tmp_path: Path) -> None:
    archive = member(b"\xff\xfe/file") + header(b"\xe4/.wh..wh..opq") + END
    assert unpack(archive, tmp_path / "out").implicit_directories == [b"", b"\xff\xfe", b"\xe4"]
    assert opaque(tmp_path / "out" / os.fsdecode(b"\xe4"))


def test_the_root_directory_gets_what_its_entry_says(tmp_path: Path) -> None:
    for number, name in enumerate((b"./", b".", b"/", b"././")):
        target = tmp_path / str(number)
        archive = attribute(b"user.root", b"yes") + directory(name, mode=0o1711, uid=5, gid=6, mtime=9) + END
        assert unpack(archive, target).implicit_directories == []
        about = target.stat()
        assert (stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid, about.st_mtime) == (0o1711, 5, 6, 9)
        assert os.getxattr(target, "user.root") == b"yes"
    for kind in (FILE, SYMBOLIC_LINK, HARD_LINK, FIFO):
        with pytest.raises(InvalidArchive, match="root is not a directory"):
            unpack(header(b".", kind, link=b"x") + END, tmp_path / "file")


def test_nothing_is_inherited_from_where_the_target_is(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    os.chown(target, 0, 50)
    target.chmod(0o2775)
    everyone = bytes.fromhex("0200000001000700ffffffff04000700ffffffff20000700ffffffff")
    os.setxattr(target, "system.posix_acl_default", everyone)
    unpack(directory(b"d/", mode=0o700) + member(b"d/f", mode=0o600) + member(b"i/f", mode=0o600) + END, target)
    for path in ("d", "i", "d/f", "i/f"):
        about = (target / path).stat()
        assert (about.st_uid, about.st_gid, about.st_mode & 0o2077) == (0, 0, 0o055 if path == "i" else 0)
        assert os.listxattr(target / path) == []


def test_a_directory_s_default_access_list_is_not_inherited_by_what_the_layer_puts_there(tmp_path: Path) -> None:
    everyone = bytes.fromhex("0200000001000700ffffffff04000700ffffffff20000700ffffffff")
    archive = attribute(b"system.posix_acl_default", everyone) + directory(b"d/", mtime=5) + member(b"d/f", mode=0o600)
    archive += directory(b"d/below/", mode=0o700) + END
    unpack(archive, tmp_path / "out")
    assert os.getxattr(tmp_path / "out/d", "system.posix_acl_default") == everyone
    assert os.listxattr(tmp_path / "out/d/below") == []
    assert stat.S_IMODE((tmp_path / "out/d/f").stat().st_mode) == 0o600
    assert (tmp_path / "out/d").stat().st_mtime == 5


@both_forms
def test_the_last_of_several_entries_counts(form: str, tmp_path: Path) -> None:
    archive = member(b"f", b"old", mode=0o600) + member(b"f", b"new", mode=0o644)
    archive += directory(b"d/", mode=0o700) + member(b"d/stays") + directory(b"d/", mode=0o755)
    archive += directory(b"was-directory/") + member(b"was-directory/x/y") + member(b"was-directory", b"file")
    archive += member(b"was-file", b"x") + directory(b"was-file/") + member(b"was-file/x")
    archive += symbolic_link(b"was-link", b"d") + directory(b"was-link/") + member(b"was-link/x")
    archive += member(b"becomes-link") + symbolic_link(b"becomes-link", b"d")
    archive += directory(b"becomes-fifo/") + member(b"becomes-fifo/x") + header(b"becomes-fifo", FIFO) + END
    unpack(archive, tmp_path / "out", form)
    out = tmp_path / "out"
    assert (out / "f").read_text() == "new"
    assert stat.S_IMODE((out / "f").stat().st_mode) == 0o644
    assert (out / "d/stays").exists()
    assert stat.S_IMODE((out / "d").stat().st_mode) == 0o755
    assert (out / "was-directory").read_text() == "file"
    assert names(out / "was-file") == ["x"]
    assert not (out / "was-link").is_symlink()
    assert names(out / "was-link") == ["x"]
    assert os.readlink(out / "becomes-link") == "d"
    assert stat.S_ISFIFO((out / "becomes-fifo").lstat().st_mode)
    assert names(out / "d") == ["stays"]


@both_forms
def test_hard_links_are_to_what_has_the_name_when_they_come(form: str, tmp_path: Path) -> None:
    archive = member(b"a", b"first") + hard_link(b"1", b"./a") + member(b"a", b"second") + hard_link(b"d/2", b"a")
    archive += symbolic_link(b"s", b"a") + hard_link(b"3", b"s") + hard_link(b"a", b"a") + hard_link(b"1", b"1")
    archive += header(b"p", FIFO) + hard_link(b"4", b"p") + member(b"x") + hard_link(b"x", b"a") + END
    unpack(archive, tmp_path / "out", form)
    out = tmp_path / "out"
    assert (out / "1").read_text() == "first"
    assert (out / "d/2").read_text() == "second"
    assert (out / "a").stat().st_nlink == 3
    assert os.readlink(out / "3") == "a"
    assert (out / "3").lstat().st_ino == (out / "s").lstat().st_ino
    assert (out / "4").lstat().st_ino == (out / "p").lstat().st_ino


def test_a_hard_link_can_take_the_place_of_a_directory(tmp_path: Path) -> None:
    archive = directory(b"d/") + member(b"d/x") + member(b"f", b"data") + hard_link(b"d", b"f") + END
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/d").read_text() == "data"
    with pytest.raises(InvalidArchive, match="in the directory that it replaces"):
        unpack(directory(b"d/") + member(b"d/x") + hard_link(b"d", b"d/x") + END, tmp_path / "itself")


def test_hard_links_work_with_more_directories_than_are_kept_open(tmp_path: Path) -> None:
    archive = b"".join(directory(b"d%d/" % number) + member(b"d%d/f" % number) for number in range(200))
    archive += b"".join(hard_link(b"d%d/l" % number, b"d%d/f" % ((number + 77) % 200)) for number in range(200)) + END
    unpack(archive, tmp_path / "out")
    for number in range(200):
        assert (tmp_path / f"out/d{number}/l").stat().st_ino == (
            tmp_path / f"out/d{(number + 77) % 200}/f"
        ).stat().st_ino


def test_setuid_bits_and_capabilities_survive_owner_and_data(tmp_path: Path) -> None:
    value = bytes.fromhex("0100000200200000000000000000000000000000")
    archive = attribute(b"security.capability", value) + member(b"f", b"data", mode=0o6755, uid=1000, gid=1000)
    archive += header(b"s/", DIRECTORY, mode=0o3777, uid=1000, gid=1000) + member(b"s/f", mode=0o644) + END
    unpack(archive, tmp_path / "out")
    about = (tmp_path / "out/f").stat()
    assert (stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid) == (0o6755, 1000, 1000)
    assert os.getxattr(tmp_path / "out/f", "security.capability") == value
    assert stat.S_IMODE((tmp_path / "out/s").stat().st_mode) == 0o3777
    assert (tmp_path / "out/s/f").stat().st_gid == 0


def test_attributes_in_libarchive_s_form(tmp_path: Path) -> None:
    archive = pax({b"LIBARCHIVE.xattr.user.a%3db": b"AP8"}) + member(b"f") + END
    unpack(archive, tmp_path / "out")
    assert os.getxattr(tmp_path / "out/f", "user.a=b") == b"\0\xff"
    with pytest.raises(InvalidArchive, match="malformed attribute"):
        unpack(pax({b"LIBARCHIVE.xattr.user.a%zz": b"AP8"}) + member(b"f") + END, tmp_path / "bad")


def test_access_control_lists_by_names_are_left_out_with_a_warning(tmp_path: Path) -> None:
    for text in (b"user::rw-,user:joe:r--,group::r--,mask::r--,other::---", b"nonsense", b"user::rq-", b"mask:5:rwx"):
        applied = unpack(pax({b"SCHILY.acl.access": text}) + member(b"f") + END, tmp_path / "out")
        assert "names users without their numbers" in applied.warnings[0]
        assert os.listxattr(tmp_path / "out/f") == []


def test_attributes_that_do_not_belong_to_a_file_are_left_out_with_a_warning(tmp_path: Path) -> None:
    refused = [b"trusted.overlay.opaque", b"trusted.overlay.redirect", b"user.overlay.whiteout", b"trusted.x"]
    refused += [b"security.selinux", b"btrfs.compression", b"user.overlay.overlay.opaque", b"system.nfs4_acl"]
    archive = b"".join(attribute(name, b"y") + directory(b"d%d/" % number) for number, name in enumerate(refused))
    applied = unpack(archive + attribute(b"user.x", b"y") + symbolic_link(b"l", b"x") + END, tmp_path / "out")
    for number, name in enumerate(refused):
        assert os.listxattr(tmp_path / f"out/d{number}") == []
        assert name.decode() in applied.warnings[number]
    assert len(applied.warnings) == len(refused) + 1  # a link has no attributes of users


def test_warnings_are_counted_when_they_are_many(tmp_path: Path) -> None:
    archive = b"".join(attribute(b"trusted.x", b"y") + member(b"f%d" % number) for number in range(50)) + END
    applied = unpack(archive, tmp_path / "out")
    assert len(applied.warnings) == 21
    assert applied.warnings[-1] == "30 more warnings like these"


def test_devices_and_fifos(tmp_path: Path) -> None:
    archive = header(b"null", CHARACTER, major=1, minor=3, mode=0o666, uid=3) + header(
        b"disk", BLOCK, major=259, minor=7
    )
    archive += header(b"fifo", FIFO, mode=0o620, gid=5, mtime=8) + END
    unpack(archive, tmp_path / "out")
    found = described(tmp_path / "out")
    assert (found["null"]["mode"], found["null"]["device"], found["null"]["owner"]) == ("crw-rw-rw-", (1, 3), (3, 0))
    assert (found["disk"]["mode"], found["disk"]["device"]) == ("brw-r--r--", (259, 7))
    assert (found["fifo"]["mode"], found["fifo"]["owner"], found["fifo"]["mtime"]) == ("prw--w----", (0, 5), 8 * 10**9)


@both_forms
def test_a_device_that_overlay_would_take_for_a_whiteout_is_left_out(form: str, tmp_path: Path) -> None:
    applied = unpack(member(b"f") + header(b"c", CHARACTER) + header(b"f", CHARACTER) + END, tmp_path / "out", form)
    assert names(tmp_path / "out") == []
    assert len(applied.warnings) == 2
    assert "0/0 is left out" in applied.warnings[0]


def test_whiteouts_and_opaque_directories_in_overlay_s_form(tmp_path: Path) -> None:
    archive = header(b"d/.wh.gone") + header(b"d/opaque/.wh..wh..opq") + header(b".wh.top") + END
    out = tmp_path / "out"
    applied = unpack(archive, out)
    assert is_whiteout(out / "d/gone")
    assert is_whiteout(out / "top")
    assert opaque(out / "d/opaque")
    assert not opaque(out / "d")
    assert names(out / "d/opaque") == []
    assert applied.implicit_directories == [b"", b"d", b"d/opaque"]
    unpack(archive, tmp_path / "rootless", rootless=True)
    assert opaque(tmp_path / "rootless/d/opaque", "user")
    assert not opaque(tmp_path / "rootless/d/opaque")


def test_whiteouts_hide_nothing_of_their_own_layer(tmp_path: Path) -> None:
    archive = member(b"f", b"data") + header(b".wh.f") + header(b".wh.g") + member(b"g", b"data")
    archive += (
        directory(b"d/") + member(b"d/x") + header(b".wh.d") + header(b".wh.e") + directory(b"e/") + member(b"e/x")
    )
    archive += header(b".wh.i") + member(b"i/x") + member(b"o/x") + header(b"o/.wh..wh..opq") + member(b"o/y") + END
    out = tmp_path / "out"
    unpack(archive, out)
    assert names(out) == ["d", "e", "f", "g", "i", "o"]
    assert (out / "f").read_text() == (out / "g").read_text() == "data"
    for name in "deio":
        assert opaque(out / name), name  # what is below is hidden, what the layer has is not
    assert names(out / "o") == ["x", "y"]


def test_names_of_aufs_are_passed_over(tmp_path: Path) -> None:
    archive = directory(b".wh..wh.plnk/") + member(b".wh..wh.plnk/1.2", b"x") + header(b".wh..wh.aufs") + END
    unpack(archive, tmp_path / "out")
    assert names(tmp_path / "out") == []


def test_an_opaque_root_needs_a_driver_with_whole_trees(tmp_path: Path) -> None:
    archive = member(b"new") + header(b".wh..wh..opq") + END
    with pytest.raises(OrlopError, match="root directory is opaque"):
        unpack(archive, tmp_path / "overlay")
    unpack(member(b"old") + directory(b"d/") + END, tmp_path / "merged", MERGED)
    unpack(archive, tmp_path / "merged", MERGED)
    assert names(tmp_path / "merged") == ["new"]


LOWER = (
    directory(b"./", mode=0o755, mtime=1)
    + b"".join(directory(b"d%d/" % n, mode=0o750, uid=n, mtime=n) + member(b"d%d/old" % n, b"old") for n in range(12))
    + attribute(b"user.below", b"1") + directory(b"attributes/") + member(b"attributes/old")
    + member(b"file", b"below") + symbolic_link(b"link", b"d0") + member(b"was-file") + directory(b"full/a/b/c/")
    + member(b"full/a/b/c/d") + member(b"one", b"x") + hard_link(b"other", b"one") + END
)  # fmt: skip
UPPER = (
    header(b"d0/.wh.old")
    + header(b"d1/.wh..wh..opq") + member(b"d1/new")
    + member(b"d2/new") + header(b"d2/.wh..wh..opq")
    + header(b".wh.d3")
    + header(b".wh.d4") + directory(b"d4/", mtime=44) + member(b"d4/new")
    + directory(b"d5/", mode=0o700, uid=55, mtime=55) + member(b"d5/new")
    + member(b"d6", b"file over directory")
    + member(b"d7/new")
    + symbolic_link(b"d8", b"d7")
    + member(b"d9/.wh.never") + directory(b"newest/")
    + header(b".wh.d11") + member(b"d11/deep/.wh.never")
    + directory(b"d10/", mtime=10) + header(b"d10/.wh.old") + member(b"d10/old", b"both")
    + directory(b"link/") + member(b"link/x") + directory(b"was-file/") + member(b"was-file/x")
    + member(b"full/a/b/x") + header(b"full/a/b/.wh.c") + attribute(b"user.above", b"2") + directory(b"attributes/")
    + header(b".wh.one") + member(b"file", b"above", mtime=99) + hard_link(b"another", b"file")
    + header(b"device", BLOCK, major=8, minor=1) + END
)  # fmt: skip


@pytest.fixture
def overlay(tmp_path: Path) -> Iterator[Path]:
    """The two layers as overlayfs shows them, which is the one to agree with."""
    lower, upper, work, place = (tmp_path / name for name in ("lower", "upper", "work", "place"))
    unpack(LOWER, lower)
    applied = unpack(UPPER, upper)
    work.mkdir()
    place.mkdir()
    for name in map(os.fsdecode, applied.implicit_directories):  # as `inherit.metadata` does it
        below = lower / name
        if below.is_dir() and not below.is_symlink():
            about = below.stat()
            os.chown(upper / name, about.st_uid, about.st_gid)
            (upper / name).chmod(stat.S_IMODE(about.st_mode))
            for key in os.listxattr(below):
                os.setxattr(upper / name, key, os.getxattr(below, key))
            os.utime(upper / name, ns=(about.st_atime_ns, about.st_mtime_ns))
    options = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off,metacopy=off"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "orlop-test", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_merged_tree_is_the_one_that_overlay_shows(overlay: Path, tmp_path: Path) -> None:
    merged = tmp_path / "merged"
    unpack(LOWER, merged, MERGED)
    unpack(UPPER, merged, MERGED)
    ours, theirs = described(merged), described(overlay)
    for found in (ours, theirs):
        for about in found.values():
            about["xattrs"] = {key: value for key, value in about["xattrs"].items() if not key.startswith("trusted.")}
    del theirs["other"]["links"], ours["other"]["links"]  # overlay shows the number that there is below
    assert ours == theirs
    assert (merged / "file").read_text() == "above"


def test_whiteouts_of_nothing_leave_nothing_in_a_merged_tree(tmp_path: Path) -> None:
    merged = tmp_path / "merged"
    unpack(directory(b"old/") + END, merged, MERGED)
    archive = member(b"new/.wh.never") + directory(b"new/deep/", mtime=5) + member(b"new/deep/.wh.never")
    unpack(archive + member(b"old/.wh.never") + member(b".wh.never") + END, merged, MERGED)
    assert sorted(described(merged)) == [".", "new", "new/deep", "old"]
    assert (merged / "new/deep").stat().st_mtime == 5


def test_the_file_system_being_full_is_said(tmp_path: Path) -> None:
    target = tmp_path / "small"
    target.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=50", "orlop-test", target], check=True)
    try:
        with pytest.raises(
            InsufficientSpace, match=r'cannot unpack "f": it has 2097152 bytes, and the file system has'
        ):
            unpack(header(b"f", size=2 << 20) + END, target)  # before the data is missed
        parts = b"".join(member(b"f%d" % number, bytes(100_000)) for number in range(20))
        with pytest.raises(InsufficientSpace, match="no space left"):
            unpack(parts + END, target)
        for name in os.listdir(target):
            (target / name).unlink()
        with pytest.raises(InsufficientSpace, match="no space left"):
            unpack(b"".join(member(b"f%d" % number) for number in range(100)) + END, target)
    finally:
        subprocess.run(["umount", target], check=True)


def test_more_entries_than_allowed_are_refused(tmp_path: Path) -> None:
    archive = b"".join(member(b"f%d" % number) for number in range(10)) + END
    with pytest.raises(InvalidArchive, match="more than 9 entries"):
        unpack(archive, tmp_path / "named", limits=Limits(entries=9))
    with pytest.raises(InvalidArchive, match="more than 9 entries"):
        unpack(member(b"a/b/c/d/e/f/g/h/i/j") + member(b"k") + END, tmp_path / "made", limits=Limits(entries=9))


def test_an_error_names_the_entry_and_shows_no_control_characters(tmp_path: Path) -> None:
    with pytest.raises(InvalidArchive) as caught:
        unpack(symbolic_link(b"a\x1b[31m\n\xff", b"") + END, tmp_path / "out")
    assert str(caught.value) == r'cannot unpack "a\x1b[31m\x0a\xff": a symbolic link without a target'


def test_no_process_and_no_descriptor_stays(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    others = children()
    unpack(member(b"f") + END, tmp_path / "out")
    with pytest.raises(InvalidArchive):
        unpack(b"junk" * 1000, tmp_path / "out")
    assert set(os.listdir("/proc/self/fd")) == before
    assert children() == others
