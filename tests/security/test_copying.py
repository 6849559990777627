"""cp: files go between the host's root and a container that is hostile, or an archive that is.

The container's part is played from outside, by exchanging names in its root directory, which is quicker than any program
in it could be.
"""

from __future__ import annotations

import ctypes
import io
import os
import stat
import subprocess
import sys
import sysconfig
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orlop.engine import extraction
from orlop.errors import InvalidArchive, InvalidArgument, OrlopError
from tests.integration.conftest import busybox_root
from tests.integration.engine.conftest import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 4
_EXCHANGE = 2
_AT_FDCWD = -100


class Victim:
    """An engine with a container on ``root``, and a directory ``outside`` of the host's with a secret in it."""

    def __init__(self, engine: Engine, root: Path, outside: Path) -> None:
        self.engine = engine
        self.root = root
        self.outside = outside

    def start(self) -> None:
        self.engine.ok("run", "-d", "--name", "victim", "--rootfs", str(self.root), "sleep", "1000")

    def check(self) -> None:
        """That nothing of the host's was changed, added or removed."""
        assert sorted(os.listdir(self.outside)) == ["secret"]
        assert (self.outside / "secret").read_text() == "the host's"


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    if os.geteuid() != 0:
        pytest.skip("needs root: containers are made for real")
    root = tmp_path / "rootfs"
    root.mkdir(mode=0o755)
    busybox_root(root)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("the host's")
    engine = Engine(tmp_path, root)
    yield Victim(engine, root, outside)
    engine.close()


class Exchanging:
    """Exchanges two names for each other, over and over, until the block ends."""

    def __init__(self, one: Path, other: Path) -> None:
        self._names = os.fsencode(one), os.fsencode(other)
        self._rename = ctypes.CDLL(None, use_errno=True).renameat2
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.count = 0

    def _run(self) -> None:
        while not self._over.is_set():
            for _ in range(200):
                self._rename(_AT_FDCWD, self._names[0], _AT_FDCWD, self._names[1], _EXCHANGE)
            self.count += 200

    def __enter__(self) -> Exchanging:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()
        assert self.count


def tar(*entries: tuple[str, bytes, str]) -> bytes:
    """An archive of files, directories and links: name, type, and what a link leads to."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, kind, link in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, link, 0o755
            info.size = 4 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"evil") if info.size else None)
    return output.getvalue()


FILE, DIRECTORY, LINK, HARD_LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize("running", [True, False])
def test_cve_2018_15664_directories_exchanged_for_links_while_they_are_copied(
    victim: Victim, tmp_path: Path, *, running: bool
) -> None:
    for name in ("data", "data/way"):
        (victim.root / name).mkdir()
    (victim.root / "data/way/secret").write_text("the container's")
    (victim.root / "data/link").symlink_to(victim.outside)
    victim.start()
    if not running:
        victim.engine.ok("stop", "-t", "0", "victim")
    source = tmp_path / "source"
    source.mkdir()
    (source / "secret").write_text("overwritten")
    (source / "more").write_text("overwritten")
    with Exchanging(victim.root / "data/way", victim.root / "data/link"):
        for number in range(ROUNDS // 2):
            for path in ("victim:/data", "victim:/data/way/", "victim:/data/way/secret"):
                result = victim.engine("cp", path, "-")
                assert "the host's" not in result.out
            victim.engine("cp", "victim:/data", str(tmp_path / f"out{number}"))
            victim.engine("cp", "-L", "victim:/data/way", str(tmp_path / f"through{number}"))
            victim.engine("cp", f"{source}/secret", "victim:/data/way/secret")
            victim.engine("cp", f"{source}/.", "victim:/data/way")
            victim.engine("cp", "-", "victim:/data", given=tar(("way/secret", FILE, ""), ("way/more", FILE, "")))
            victim.check()
    for copied in (*tmp_path.glob("out*/**/*"), *tmp_path.glob("through*/**/*")):
        if copied.is_file() and victim.outside not in copied.parents:
            assert copied.read_text() != "the host's" or copied.resolve() == victim.outside / "secret"


def test_cve_2018_15664_a_file_exchanged_for_a_link_while_it_is_read(victim: Victim) -> None:
    (victim.root / "file").write_text("the container's")
    (victim.root / "link").symlink_to(victim.outside / "secret")
    victim.start()
    with Exchanging(victim.root / "file", victim.root / "link"):
        for _ in range(ROUNDS):
            for words in (("victim:/file",), ("-L", "victim:/file"), ("-L", "victim:/link")):
                assert "the host's" not in victim.engine("cp", *words, "-").out


def test_a_file_exchanged_for_a_fifo_or_a_device_is_not_waited_for(victim: Victim) -> None:
    (victim.root / "d").mkdir()
    (victim.root / "d/file").write_text("the container's")
    os.mkfifo(victim.root / "fifo")
    victim.start()
    with Exchanging(victim.root / "d/file", victim.root / "fifo"):
        for _ in range(ROUNDS):
            victim.engine("cp", "victim:/d", "-")
            victim.engine("cp", "victim:/d/file", "-")


def test_cve_2019_14271_nothing_of_the_container_is_loaded_or_imported(victim: Victim, tmp_path: Path) -> None:
    """Whatever a process that has entered a container's root looks up by name, the container could have put there."""
    standard = victim.root / sysconfig.get_path("stdlib").lstrip("/")
    ours = victim.root / str(Path(extraction.__file__).parents[1]).lstrip("/")
    for directory in (standard, standard / "encodings", ours, ours / "engine", ours / "storage/layers", victim.root):
        directory.mkdir(parents=True, exist_ok=True)
        names = [
            *sys.stdlib_module_names,
            "tar_reader",
            "stream",
            "extraction",
            "site",
            "sitecustomize",
            "idna",
            "utf_8",
        ]
        for name in names:
            (directory / f"{name}.py").write_text("open('/loaded', 'w').close()\n")
    for libraries in ("lib/x86_64-linux-gnu", "lib", "lib64", "usr/lib/x86_64-linux-gnu"):
        (victim.root / libraries).mkdir(parents=True, exist_ok=True)
        for name in ("nss_files", "nss_dns", "nss_compat", "nss_systemd"):
            (victim.root / libraries / f"lib{name}.so.2").write_bytes(b"\x7fELF, and nothing that could be loaded")
    (victim.root / "etc/nsswitch.conf").write_text("passwd: dns\nhosts: dns\n")
    (tmp_path / "file").write_text("x")
    victim.start()
    for _ in range(2):
        victim.engine.ok("cp", f"{tmp_path}/file", "victim:/tmp/file")
        victim.engine.ok("cp", "-", "victim:/tmp", given=tar(("a/b", FILE, "")))
        victim.engine.ok("cp", "victim:/tmp", str(tmp_path / "copy"))
        victim.engine.ok("stop", "-t", "0", "victim")
    assert not (victim.root / "loaded").exists()
    assert not Path("/loaded").exists()


@pytest.mark.parametrize(
    ("entries", "refused"),
    [
        ([("../../../../../../../../..{outside}/secret", FILE, "")], True),
        ([("{outside}/secret", FILE, "")], False),
        ([("up", LINK, "../../../../../../../../..{outside}"), ("up/secret", FILE, "")], False),
        ([("abs", LINK, "{outside}"), ("abs/new", FILE, ""), ("abs/dir", DIRECTORY, "")], False),
        ([("abs", LINK, "{outside}/secret"), ("abs", FILE, "")], False),
        ([("hard", HARD_LINK, "{outside}/secret"), ("hard", FILE, "")], True),
        ([("hard", HARD_LINK, "../../..{outside}/secret")], True),
        ([("d", DIRECTORY, ""), ("d", LINK, "{outside}"), ("d/new", FILE, "")], True),
        ([("self", LINK, "self"), ("self/x", FILE, "")], True),
    ],
)
def test_an_archive_stays_within_the_container(
    victim: Victim, entries: list[tuple[str, bytes, str]], *, refused: bool
) -> None:
    victim.start()
    words = [
        (name.format(outside=victim.outside), kind, link.format(outside=victim.outside)) for name, kind, link in entries
    ]
    for _ in range(2):
        result = victim.engine("cp", "-", "victim:/tmp", given=tar(*words))
        assert bool(result.code) is refused, result
        victim.check()
        victim.engine("stop", "-t", "0", "victim")


def test_what_a_container_sends_makes_no_rights_on_the_host(victim: Victim, tmp_path: Path) -> None:
    """A container's root prepares a program, and waits for somebody to copy it out for him."""
    there = victim.root / "gift"
    there.mkdir()
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("sticky", 0o1777)):
        (there / name).write_text("x")
        (there / name).chmod(mode)
    (there / "capable").write_text("x")
    # cap_sys_admin, effective: struct vfs_ns_cap_data's older form (linux/capability.h).
    capability = (0x02000001).to_bytes(4, "little") + (1 << 21).to_bytes(4, "little") + bytes(12)
    os.setxattr(there / "capable", "security.capability", capability)
    os.mknod(there / "disk", stat.S_IFBLK | 0o666, os.makedev(8, 0))
    (there / "setuid").chmod(0o4755)
    os.chown(there / "capable", 1000, 1000)
    os.setxattr(there / "capable", "security.capability", capability)
    victim.start()
    victim.engine.ok("cp", "victim:/gift", str(tmp_path / "copy"))
    copy = tmp_path / "copy"
    assert sorted(os.listdir(copy)) == ["capable", "setgid", "setuid", "sticky"]
    for name in os.listdir(copy):
        about = (copy / name).stat()
        assert about.st_mode & 0o6000 == 0
        assert (about.st_uid, about.st_gid) == (0, 0)
    assert os.listxattr(copy / "capable") == []


def test_links_that_are_there_already_lead_nothing_out_of_the_users_directory(victim: Victim, tmp_path: Path) -> None:
    (victim.root / "gift/way").mkdir(parents=True)
    (victim.root / "gift/way/secret").write_text("evil")
    (victim.root / "gift/name").write_text("evil")
    copy = tmp_path / "copy/gift"
    copy.mkdir(parents=True)
    (copy / "way").symlink_to(victim.outside)
    (copy / "name").symlink_to(victim.outside / "secret")
    victim.start()
    result = victim.engine("cp", "victim:/gift", str(tmp_path / "copy"))
    assert (result.code, "cannot overwrite non-directory" in result.err) == (1, True)
    victim.check()
    assert not (copy / "name").is_symlink() or os.readlink(copy / "name") == str(victim.outside / "secret")


@pytest.mark.parametrize("way", ["/proc/sys/kernel", "/proc/self", "/sys/kernel", "/dev/pts"])
def test_the_kernels_files_are_no_place_to_copy_to(victim: Victim, tmp_path: Path, way: str) -> None:
    """A link that the container has put there must not make the host's root change this machine (CVE-2025-52881)."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    (victim.root / "way").symlink_to(way)
    (tmp_path / "core_pattern").write_text("|/evil")
    victim.start()
    for destination in ("victim:/way/core_pattern", "victim:/way/", f"victim:{way}/core_pattern"):
        result = victim.engine("cp", f"{tmp_path}/core_pattern", destination)
        assert result.code == 1, result
    result = victim.engine("cp", "-", "victim:/", given=tar(("way/core_pattern", FILE, "")))
    assert result.code == 1
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


def test_a_kernels_file_that_is_mounted_in_a_files_place_is_not_written_to(victim: Victim, tmp_path: Path) -> None:
    (victim.root / "hosts").write_text("")
    script = "mount -o bind /proc/sys/kernel/core_pattern /hosts; touch /ready; sleep 1000"
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    engine = victim.engine
    engine.ok("run", "-d", "--privileged", "--name", "victim", "--rootfs", str(victim.root), "sh", "-c", script)
    engine.ok("exec", "victim", "sh", "-c", "until test -e /ready; do sleep 0.01; done")
    (tmp_path / "file").write_text("|/evil")
    result = engine("cp", f"{tmp_path}/file", "victim:/hosts")
    assert (result.code, "not a place for files" in result.err) == (1, True), result
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


def test_magic_links_of_proc_lead_nowhere(victim: Victim) -> None:
    victim.start()
    for path in ("/proc/self/root/etc/passwd", "/proc/1/root/etc/passwd", "/proc/1/cwd/etc/passwd", "/proc/self/fd/1"):
        result = victim.engine("cp", f"victim:{path}", "-")
        assert (result.code, result.out) == (1, "")


def test_names_that_a_terminal_would_obey_are_shown_harmless(victim: Victim) -> None:
    victim.start()
    result = victim.engine("cp", "-", "victim:/tmp", given=tar(("\x1b]0;evil\x07/..", FILE, "")))
    assert result.code == 1
    assert "\x1b" not in result.err


@pytest.mark.parametrize(
    "data",
    [b"", b"x" * 700, b"\x1f\x8b\x08\x00garbage", tar(("a", FILE, ""))[:600], b"\0" * 100, b"\x28\xb5\x2f\xfdgarbage"],
)
def test_what_is_no_archive_is_told_and_nothing_is_left(victim: Victim, data: bytes) -> None:
    victim.start()
    result = victim.engine("cp", "-", "victim:/root", given=data)
    assert result.err.count("\n") <= 1
    assert "Traceback" not in result.err
    assert set(os.listdir(victim.root / "root")) <= {"a"}


# The extraction alone, where it is allowed to take directories away.


def extract(root: Path, data: bytes, **rules: Any) -> list[str]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to be confined")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            with open(writer, "wb") as stream:
                stream.write(data)
        finally:
            os._exit(0)
    os.close(writer)
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        made = extraction.Rules("/", **{"follows": True, "keeps_owners": True, **rules})
        return extraction.extract(reader, descriptor, made).warnings
    finally:
        os.close(descriptor)
        os.close(reader)
        os.waitpid(child, 0)


def test_a_directory_that_is_replaced_takes_nothing_along_that_links_lead_to(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for name in ("d/e/f", "d/g"):
        (root / name).mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_text("the host's")
    (root / "d/e/f/link").symlink_to(outside)
    (root / "d/link").symlink_to(outside / "secret")
    with pytest.raises(InvalidArgument, match="cannot overwrite directory"):
        extract(root, tar(("d", FILE, "")))
    extract(root, tar(("d", FILE, "")), replaces_directories=True)
    assert (root / "d").read_text() == "evil"
    assert (outside / "secret").read_text() == "the host's"


def test_a_directory_that_is_exchanged_while_it_is_replaced(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("the host's")
    (root / "link").symlink_to(outside)
    for number in range(ROUNDS):
        (root / "d/e").mkdir(parents=True, exist_ok=True)
        for each in range(50):
            (root / f"d/e/{each}").write_text(str(number))
        with Exchanging(root / "d/e", root / "link"):
            try:
                extract(root, tar(("d", FILE, "")), replaces_directories=True)
            except OrlopError:
                pass  # somebody was in the way, which is what this is about
        assert os.listdir(outside) == ["secret"]
        subprocess.run(["rm", "-rf", root / "d"], check=True)
        if not (root / "link").is_symlink():
            subprocess.run(["rm", "-rf", root / "link"], check=True)
            (root / "link").symlink_to(outside)


def test_an_archive_in_the_users_directory_goes_through_no_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    with pytest.raises((InvalidArgument, InvalidArchive)):
        extract(root, tar(("s", LINK, str(outside)), ("s/x", FILE, "")), follows=False, keeps_owners=False)
    with pytest.raises((InvalidArgument, InvalidArchive)):
        extract(root, tar(("t", LINK, "."), ("t/x", FILE, "")), follows=False, keeps_owners=False)
    assert os.listdir(outside) == []
    assert sorted(os.listdir(root)) == ["s", "t"]
