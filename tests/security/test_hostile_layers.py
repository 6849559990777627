"""Archives made to do harm: each is refused with a sentence that says why, and nothing outside of the target changes.

Replayed are, among others, CVE-2007-4559 (Python's tarfile), CVE-2014-9357 and CVE-2019-14271 (Docker), CVE-2021-32803
and -37701 (node-tar: a directory in a cache that a link replaces), CVE-2025-45582 (GNU tar) and CVE-2025-58183 (Go: maps of
sparse files).
"""

from __future__ import annotations

import gzip
import os
import resource
import socket
import stat
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.errors import InsufficientSpace, InvalidArchive, OrlopError
from orlop.storage.layers import apply, confinement, removal
from orlop.storage.layers import unpack as unpacking
from orlop.storage.layers.limits import Limits
from orlop.storage.snapshots.interface import MERGED, OVERLAY, Target
from orlop.third_party import load
from tests.layers import (
    DIRECTORY,
    END,
    FIFO,
    FILE,
    HARD_LINK,
    SYMBOLIC_LINK,
    described,
    directory,
    gnu_long,
    header,
    member,
    pax,
    unpack,
    unpack_here,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: what an archive could do is done with root's rights"
)

both_forms = pytest.mark.parametrize("form", [OVERLAY, MERGED])


def symbolic_link(name: bytes, target: bytes | Path) -> bytes:
    target = os.fsencode(target)
    return pax({b"linkpath": target}) + header(name, SYMBOLIC_LINK)


def hard_link(name: bytes, target: bytes | Path) -> bytes:
    return pax({b"linkpath": os.fsencode(target)}) + header(name, HARD_LINK)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """Files of the host beside the target, which must stay as they are."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret").write_text("secret")
    (place / "directory").mkdir()
    (place / "directory/file").write_text("file")
    os.utime(place, (1, 1))
    before = described(place)
    above = set(os.listdir(tmp_path))
    yield place
    assert described(place) == before
    assert set(os.listdir(tmp_path)) - above <= {"target"}


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A target in which directories may become too deep for what clears away after tests."""
    target = tmp_path / "target"
    target.mkdir()
    yield target
    above = os.open(tmp_path, os.O_RDONLY)
    removal.remove(above, b"target")
    os.close(above)


def refused(archive: bytes, target: Path, form: str = OVERLAY, limits: Limits | None = None) -> str:
    with pytest.raises(InvalidArchive) as caught:
        unpack(archive, target, form, limits=limits or Limits())
    message = str(caught.value)
    assert "\n" not in message
    assert message[:1].islower()
    return message


NAMES_OUTSIDE = [
    b"../outside/new",
    b"../outside/secret",
    b"a/../../outside/new",
    b"./../outside/new",
    b"a/b/../../../outside/new",
    b"..",
    b"../",
    b"a/..",
    b"a/../b",
    b"/absolute",
    b"//absolute",
    b"/./absolute",
    b"/../absolute",
]


@both_forms
@pytest.mark.parametrize("name", NAMES_OUTSIDE)
def test_names_that_lead_outside_are_refused_for_every_kind(
    name: bytes, form: str, outside: Path, tmp_path: Path
) -> None:
    for kind in (FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY, FIFO):
        archive = member(b"x") + header(name, kind, link=b"x") + END
        message = refused(archive, tmp_path / "target", form)
        assert "'..' in it" in message or "an absolute path" in message
        assert "cannot unpack" in message


@both_forms
@pytest.mark.parametrize("target", [b"../outside/secret", b"/etc/passwd", b"a/../../outside/secret", b"..", b".", b"/"])
def test_hard_links_to_the_outside_are_refused(target: bytes, form: str, outside: Path, tmp_path: Path) -> None:
    message = refused(hard_link(b"link", target) + END, tmp_path / "target", form)
    assert "a hard link to" in message


@both_forms
def test_hard_links_to_what_is_missing_are_refused(form: str, outside: Path, tmp_path: Path) -> None:
    for target in (b"missing", b"missing/missing", b"link", b"gone"):
        archive = header(b".wh.gone") + hard_link(b"link", target) + END
        assert "a hard link to" in refused(archive, tmp_path / "target", form)
    assert "is a directory" in refused(directory(b"d/") + hard_link(b"link", b"d") + END, tmp_path / "target", form)


def test_a_hard_link_to_a_file_of_a_layer_below_is_refused(tmp_path: Path) -> None:
    unpack(member(b"below", b"data") + END, tmp_path / "target", MERGED)
    assert "not in the layer" in refused(hard_link(b"link", b"below") + END, tmp_path / "target", MERGED)


@both_forms
def test_nothing_goes_through_a_symbolic_link(form: str, outside: Path, tmp_path: Path) -> None:
    for link in (
        symbolic_link(b"link", outside),
        symbolic_link(b"link", b"../outside"),
        symbolic_link(b"link", b"inside"),
    ):
        start = directory(b"inside/") + link
        for entry in (
            member(b"link/new", b"data"),
            member(b"link/secret", b"data"),
            directory(b"link/new/"),
            directory(b"link/directory/"),
            symbolic_link(b"link/new", b"x"),
            hard_link(b"stolen", b"link/secret"),
            header(b"link/fifo", FIFO),
            header(b"link/.wh.secret"),
            header(b"link/.wh..wh..opq"),
            member(b"link/directory/file", b"data"),
        ):
            assert "goes through 'link'" in refused(start + entry + END, tmp_path / "target", form)


@both_forms
def test_a_directory_that_a_link_replaces_is_not_remembered(form: str, outside: Path, tmp_path: Path) -> None:
    start = directory(b"d/") + member(b"d/a") + directory(b"d/directory/") + member(b"d/directory/a")
    for link in (symbolic_link(b"d", outside), symbolic_link(b"d/", outside), symbolic_link(b"./d", outside)):
        for entry in (member(b"d/secret", b"data"), member(b"d/directory/file", b"data"), member(b"./d//secret")):
            assert "goes through 'd'" in refused(start + link + entry + END, tmp_path / "target", form)


@both_forms
def test_a_link_is_replaced_and_not_followed(form: str, outside: Path, tmp_path: Path) -> None:
    archive = symbolic_link(b"f", outside / "secret") + member(b"f", b"data", mode=0o777, uid=5, mtime=7)
    archive += symbolic_link(b"d", outside / "directory") + directory(b"d/", mode=0o777, uid=5, mtime=7)
    archive += symbolic_link(b"p", outside / "secret") + header(b"p", FIFO, mode=0o777, uid=5, mtime=7)
    archive += symbolic_link(b"l", outside / "secret") + header(b"l", SYMBOLIC_LINK, link=b"x", uid=5, mtime=7)
    archive += symbolic_link(b"h", outside / "secret") + hard_link(b"h2", b"h") + hard_link(b"f2", b"f")
    archive += pax({b"SCHILY.xattr.user.x": b"y"}) + member(b"h2", b"data") + END
    unpack(archive, tmp_path / "target", form)
    assert (tmp_path / "target/f").read_text() == "data"
    assert os.readlink(tmp_path / "target/h") == str(outside / "secret")


@both_forms
def test_links_that_a_layer_below_left_are_not_followed(form: str, outside: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    unpack(symbolic_link(b"link", outside) + symbolic_link(b"file", outside / "secret") + END, target, MERGED)
    archive = member(b"file", b"data") + member(b"link/secret", b"data") + header(b"link/.wh.directory") + END
    unpack(archive, target, MERGED)
    assert not (target / "link").is_symlink()  # as in an overlay, the directory hides the link
    assert (target / "link/secret").read_text() == "data"


def test_whiteouts_delete_nothing_but_in_the_tree(outside: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    unpack(symbolic_link(b"link", outside) + directory(b"d/") + END, target, MERGED)
    unpack(header(b".wh.link") + END, target, MERGED)
    assert not os.path.lexists(target / "link")
    for name in (b".wh...", b".wh..", b".wh.", b"d/.wh...", b"d/.wh.", b"d/.wh.."):
        assert "a whiteout of nothing" in refused(header(name) + END, target, MERGED)
    for name in (b".wh.d/x", b"d/.wh.x/y"):
        assert "kept for whiteouts" in refused(member(name) + END, target, MERGED)


@both_forms
def test_overlayfs_is_told_nothing_by_an_archive(form: str, outside: Path, tmp_path: Path) -> None:
    records: dict[bytes, bytes] = {}
    for namespace in (b"trusted", b"user"):
        for name, value in ((b"opaque", b"y"), (b"redirect", b"/../outside"), (b"metacopy", b""), (b"whiteout", b"y")):
            records[b"SCHILY.xattr." + namespace + b".overlay." + name] = value or b"\0"
            records[b"LIBARCHIVE.xattr." + namespace + b".overlay%2e" + name] = b"eQ"
    archive = pax(records) + directory(b"d/") + pax(records) + member(b"f") + pax(records, b"g") + directory(b"./")
    unpack(archive + member(b"g") + symbolic_link(b"l", b"x") + END, tmp_path / "target", form)
    for path in ("", "d", "f", "g", "l"):
        assert os.listxattr(tmp_path / "target" / path, follow_symlinks=False) == []


def test_names_with_a_nul_are_refused_or_end_there(outside: Path, tmp_path: Path) -> None:
    for records in ({b"path": b"a\0b"}, {b"linkpath": b"a\0b"}, {b"GNU.sparse.name": b"a\0b"}):
        assert "NUL" in refused(pax(records) + header(b"n", SYMBOLIC_LINK) + END, tmp_path / "target")
    unpack(header(b"a\0b") + gnu_long(b"c\0/../../d") + header(b"n") + END, tmp_path / "target")
    assert sorted(os.listdir(tmp_path / "target")) == ["a", "c"]


def test_empty_names_are_refused(tmp_path: Path) -> None:
    assert "an empty name" in refused(header(b"") + END, tmp_path / "target")
    assert "an empty name" in refused(gnu_long(b"") + header(b"x") + END, tmp_path / "target")
    assert "without a target" in refused(header(b"l", SYMBOLIC_LINK) + END, tmp_path / "target")


def test_names_that_are_no_text_are_names(tmp_path: Path) -> None:
    names = [bytes([byte]) * 3 for byte in range(1, 256) if byte not in b"./"]
    unpack(b"".join(map(member, names)) + END, tmp_path / "target")
    assert sorted(os.listdir(os.fsencode(tmp_path / "target"))) == sorted(names)


@both_forms
def test_names_that_are_too_long_are_refused(form: str, deep: Path) -> None:
    for name in (
        b"n" * 256,
        b"d/" + b"n" * 300,
        b"d/" * 2047 + b"file",
        b"d/" * 3000,
        b"n/" * 100_000,
        b"n" * 1_000_000,
    ):
        for archive in (
            pax({b"path": name}) + header(b"x"),
            gnu_long(name) + header(b"x"),
            gnu_long(name) + directory(b"x/"),
        ):
            assert "file name too long" in refused(archive + END, deep, form)
    long_target = pax({b"linkpath": b"t" * 5000}) + header(b"l", SYMBOLIC_LINK)
    assert "file name too long" in refused(long_target + END, deep, form)


@both_forms
def test_a_path_may_be_as_deep_as_the_kernel_takes_it_and_is_replaced_again(form: str, deep: Path) -> None:
    name = b"d/" * 2000 + b"file"
    archive = pax({b"path": name}) + member(b"x", b"data") + pax({b"path": name[:-4] + b"g"}) + member(b"x")
    unpack(archive + member(b"d", b"a file now") + END, deep, form)
    assert (deep / "d").read_text() == "a file now"
    unpack(archive + END, deep, MERGED)
    unpack(header(b".wh.d") + END, deep, MERGED)
    assert os.listdir(deep) == []


def test_impossible_numbers_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    for owner in (0xFFFFFFFF, 1 << 32, (1 << 63) - 1):
        for records in ({b"uid": b"%d" % owner}, {b"gid": b"%d" % owner}):
            assert "impossible owner" in refused(pax(records) + header(b"f") + END, target)
    assert "negative" in refused(pax({b"uid": b"-1"}) + header(b"f") + END, target)
    assert "negative" in refused(pax({b"size": b"-1"}) + header(b"f") + END, target)
    for major, minor in ((b"4096", b"0"), (b"1", b"1048576"), (b"-1", b"5")):
        records = {b"SCHILY.devmajor": major, b"SCHILY.devminor": minor}
        assert "impossible device" in refused(pax(records) + header(b"f", b"4") + END, target)
    for time in (b"9" * 19, b"-" + b"9" * 19, b"%d" % (1 << 63)):
        assert "malformed header" in refused(pax({b"mtime": time}) + header(b"f") + END, target)


def test_times_past_what_the_file_system_has_are_its_last_ones(tmp_path: Path) -> None:
    for time in (b"9" * 18, b"-" + b"9" * 18):
        unpack(
            pax({b"mtime": time}) + header(b"f") + pax({b"mtime": time}) + directory(b"d/") + END, tmp_path / "target"
        )


def test_a_file_larger_than_the_disk_is_refused_at_once(tmp_path: Path) -> None:
    for size in (1 << 60, (1 << 63) - 1):
        with pytest.raises(InsufficientSpace, match="and the file system has"):
            unpack(pax({b"size": b"%d" % size}) + header(b"f") + bytes(100_000), tmp_path / "target")
    binary = b"\x80" + (1 << 50).to_bytes(11, "big")
    with pytest.raises(InsufficientSpace, match="and the file system has"):
        unpack(header(b"f", size=binary) + bytes(100_000), tmp_path / "target")


def test_a_sparse_file_larger_than_files_can_be_is_refused(tmp_path: Path) -> None:
    records = {b"GNU.sparse.map": b"0,4", b"GNU.sparse.size": b"%d" % ((1 << 63) - 1)}
    assert "file too large" in refused(pax(records) + member(b"f", b"data") + END, tmp_path / "target")


def test_a_bomb_is_refused_before_it_has_filled_the_disk(tmp_path: Path) -> None:
    head, zeros = header(b"zeros", size=1 << 32), bytes(1 << 20)
    squeeze = zlib.compressobj(9, wbits=31)
    archive = squeeze.compress(head) + b"".join(squeeze.compress(zeros) for _ in range(128)) + squeeze.flush()
    assert len(archive) < 200_000
    message = refused(archive, tmp_path / "target", limits=Limits(always=8 << 20))
    assert "decompression bomb" in message
    assert (tmp_path / "target/zeros").stat().st_size < 64 << 20


def test_a_bomb_of_entries_is_refused(tmp_path: Path) -> None:
    archive = gzip.compress(b"".join(directory(b"d%d" % number) for number in range(3000)) + END)
    assert "more than 2000 entries" in refused(archive, tmp_path / "target", limits=Limits(entries=2000))


def peak_memory(archive: Path, target: Path) -> int:
    """What a process that unpacks an archive takes at most, with the process that it leaves that to; in bytes."""
    program = (
        "import os, resource, sys\n"
        "from orlop.storage.layers import apply\n"
        "from orlop.storage.snapshots.interface import Target\n"
        "apply.apply(os.open(sys.argv[1], os.O_RDONLY), Target(sys.argv[2], 'overlay', rootless=False))\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, archive, target], check=True, capture_output=True, text=True)
    return int(done.stdout) << 10


def test_memory_does_not_grow_with_the_number_of_entries(tmp_path: Path) -> None:
    sizes = []
    for count in (500, 12_000):
        archive = tmp_path / str(count)
        block = b"".join(directory(b"d%d/" % number, mtime=number) for number in range(count // 2))
        block += b"".join(
            header(b"d%d/link-%d" % (number, number), SYMBOLIC_LINK, link=b"x") for number in range(count // 2)
        )
        archive.write_bytes(gzip.compress(block + END))
        target = tmp_path / f"target-{count}"
        target.mkdir()
        sizes.append(peak_memory(archive, target))
    assert sizes[1] - sizes[0] < 6 << 20, sizes
    assert sizes[1] < 64 << 20


SMALL = (
    directory(b"./")
    + member(b"file", b"data" * 20)
    + pax({b"path": b"long" * 30, b"SCHILY.xattr.user.a": b"b"})
    + member(b"x", b"more")
    + header(b"link", SYMBOLIC_LINK, link=b"file")
    + header(b".wh.gone")
    + END
)


@pytest.mark.parametrize("compression", ["none", "gzip", "gzip-members", "zstd", "zstd-frames"])
def test_truncation_at_every_byte_is_an_error(compression: str, tmp_path: Path) -> None:
    zstd = load("backports.zstd", "testing")
    if compression == "none":
        whole = SMALL
    elif compression == "gzip":
        whole = gzip.compress(SMALL)
    elif compression == "zstd":
        whole = zstd.compress(SMALL)
    else:
        compress = gzip.compress if compression == "gzip-members" else zstd.compress
        whole = compress(SMALL[:2100]) + compress(SMALL[2100:])
    target = tmp_path / "target"
    for length in range(len(whole)):
        with pytest.raises(InvalidArchive, match=r"truncated|damaged|not a tar archive|something else"):
            unpack_here(whole[:length], target)
    assert unpack(whole, target).entries == 5


def test_damage_at_any_byte_is_an_error_or_content_and_touches_nothing_else(outside: Path, tmp_path: Path) -> None:
    for at in range(0, len(SMALL) - 1024, 3):
        damaged = bytearray(SMALL)
        damaged[at] ^= 1 << at % 8
        try:
            unpack_here(bytes(damaged), tmp_path / "target")
        except OrlopError:
            continue


def test_a_hole_in_the_unpacking_leads_to_nothing_outside(
    outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second wall by itself: an unpacker that takes every name is in a chroot, without rights or descriptors."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "json.py").write_text("raise SystemExit('imported from the layer')")
    leaked = os.open(outside, os.O_RDONLY)

    def attack(self: object) -> None:
        found = {}
        attacks: dict[str, Callable[[], object]] = {
            "read": lambda: os.open(outside / "secret", os.O_RDONLY),
            "up": lambda: os.open("../../../../../../../../etc/passwd", os.O_RDONLY),
            "leak": lambda: os.open("secret", os.O_RDONLY, dir_fd=leaked),
            "proc": lambda: os.open("/proc/self/status", os.O_RDONLY),
            "chroot": lambda: os.chroot("."),
            "user": lambda: os.setuid(1000),
            "kill": lambda: os.kill(os.getppid(), 0),
            "host": lambda: socket.sethostname("hostile"),
            "import": lambda: __import__("mailbox"),
        }
        for name, action in attacks.items():
            try:
                action()
                found[name] = "done"
            except Exception as error:  # noqa: BLE001 - each fails in its own way
                found[name] = type(error).__name__
        raise InvalidArchive(f"found {found}")

    monkeypatch.setattr(unpacking.Unpacker, "run", attack)
    message = refused(member(b"f") + END, target)
    assert "'done'" not in message.replace("'kill': 'done'", ""), message
    os.close(leaked)


def test_the_process_that_unpacks_has_few_rights_and_ends_with_its_parent(tmp_path: Path) -> None:
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    status = os.open("/proc/self/status", os.O_RDONLY)
    os.close(status)

    def work(source: int, directory: int) -> bytes:
        from orlop.linux import capability

        effective, permitted, inheritable = capability.get()
        signal = ctypes.c_int()
        prctl(2, ctypes.byref(signal), 0, 0, 0)  # PR_GET_PDEATHSIG
        no_new_privileges = prctl(39, 0, 0, 0, 0)
        return repr(
            (capability.names(effective), effective == permitted, inheritable, signal.value, no_new_privileges)
        ).encode()

    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        report, _ = confinement.run(work, directory, directory)
    finally:
        os.close(directory)
    names, same, inheritable, signal, no_new_privileges = eval(report)
    assert set(names) <= {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_MKNOD", "CAP_SETFCAP"}
    assert (same, inheritable, signal, no_new_privileges) == (True, 0, 9, 1)


def test_a_process_that_dies_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking.Unpacker, "run", lambda _: os.kill(os.getpid(), 9))
    with pytest.raises(OrlopError, match="was ended by signal 9"):
        unpack(member(b"f") + END, tmp_path / "target")


def test_what_the_other_process_reports_is_not_trusted(outside: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "link").symlink_to(outside)
    directory_ = os.open(target, os.O_RDONLY)
    try:
        for name in ("link", "link/directory", "../outside", "/etc"):
            try:
                apply._mark_opaque(directory_, [name], "user")
            except OSError:
                continue
    finally:
        os.close(directory_)


def test_the_source_s_descriptor_may_be_standard_input(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from orlop.storage.layers import apply\n"
        "from orlop.storage.snapshots.interface import Target\n"
        "print(apply.apply(0, Target(sys.argv[1], 'overlay', rootless=False)).entries)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], input=member(b"f") + END, check=True, capture_output=True
    )
    assert done.stdout == b"1\n"


def test_an_ordinary_user_is_told_what_is_needed(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from orlop.storage import digest\n"
        "from orlop.storage.layers import apply\n"
        "from orlop.storage.snapshots.interface import Target\n"
        "target = os.open(sys.argv[1], os.O_RDONLY)\n"
        "digest.hasher()  # imports what the user may not be able to reach\n"
        "os.setresuid(65534, 65534, 65534)\n"
        "apply.apply(0, Target(f'/proc/self/fd/{target}/.', 'overlay', rootless=False))\n"
    )
    tmp_path.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], input=END, check=False, capture_output=True, text=False
    )
    assert b"needs root's rights, or those of root in a user namespace" in done.stderr


def in_user_namespace(archive: bytes, target: Path, size: int) -> str:
    """Unpack as root of a user namespace with ``size`` ids; returns the warnings, or the error."""
    target.mkdir()
    os.chown(target, 100_000, 100_000)
    handle = os.open(target, os.O_PATH)  # the directories above are not everybody's
    program = (
        "import os, sys\n"
        "from orlop.errors import OrlopError\n"
        "from orlop.linux import namespace\n"
        "from orlop.storage import digest\n"
        "from orlop.storage.layers import apply\n"
        "from orlop.storage.snapshots.interface import Target\n"
        "digest.hasher()  # imports what nobody in the namespace may be able to reach\n"
        "namespace.unshare(namespace.CLONE_NEWUSER)\n"
        "print(flush=True); os.read(0, 1); os.setgid(0); os.setuid(0)\n"
        "try:\n"
        "    target = Target(f'/proc/self/fd/{sys.argv[1]}/.', 'overlay', rootless=True)\n"
        "    print(apply.apply(0, target).warnings)\n"
        "except OrlopError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(handle)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[handle]) as process:
        os.close(handle)
        assert process.stdout is not None
        process.stdout.readline()
        for kind in ("uid", "gid"):
            Path(f"/proc/{process.pid}/{kind}_map").write_text(f"0 100000 {size}\n")
        output, _ = process.communicate(b"!" + archive, timeout=60)
        assert process.returncode == 0
        return output.decode()


def test_in_a_user_namespace_devices_are_left_out_and_whiteouts_work(tmp_path: Path) -> None:
    archive = header(b"null", b"3", major=1, minor=3) + header(b"fifo", FIFO) + header(b".wh.gone")
    archive += header(b"o/.wh..wh..opq") + member(b"f", b"data", uid=500, gid=600, mode=0o4755)
    archive += pax({b"SCHILY.xattr.security.capability": bytes.fromhex("0100000200200000000000000000000000000000")})
    archive += member(b"capable") + END
    said = in_user_namespace(archive, tmp_path / "target", 1000)
    assert "null" in said
    assert said.count("left out") == 1
    target = tmp_path / "target"
    assert sorted(os.listdir(target)) == ["capable", "f", "fifo", "gone", "o"]
    about = (target / "f").stat()
    assert (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)) == (100_500, 100_600, 0o4755)
    assert os.getxattr(target / "o", "user.overlay.opaque") == b"y"
    assert (target / "gone").lstat().st_rdev == 0
    assert os.getxattr(target / "capable", "security.capability")


def test_in_a_user_namespace_owners_without_an_id_are_a_clear_error(tmp_path: Path) -> None:
    said = in_user_namespace(member(b"f", uid=1000) + END, tmp_path / "target", 1000)
    assert said.startswith('cannot unpack "f": its owner 1000:0 has no id in this user namespace')
    assert "/etc/subuid" in said


def test_files_that_nobody_limits_are_limited_by_the_process(tmp_path: Path) -> None:
    archive = gzip.compress(member(b"f", bytes(2 << 20)) + END)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        assert "file too large" in refused(archive, tmp_path / "target")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_target_itself_may_not_be_a_link(outside: Path, tmp_path: Path) -> None:
    (tmp_path / "target").symlink_to(outside)
    with pytest.raises(OSError, match="target"):
        apply.apply(os.open(os.devnull, os.O_RDONLY), Target(str(tmp_path / "target"), OVERLAY, rootless=False))
