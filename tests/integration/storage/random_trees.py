"""File trees: changed at random, described as values, and changed on paper as a layer says."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import stat
import tarfile
import zlib
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

#: What a test does to a tree happens after this time; `settle` gives it a time before.
_RECENT = 1_600_000_000 * 10**9

_NAMES = ["a", "b", "a-b", "a.b", "c", "é", "\udcff", "n" * 110, "line\nfeed", "Z", ".w"]
_CONTENTS = [b"", b"x", b"y", b"same size 1", b"same size 2", b"\0" * 5000, bytes(range(256)) * 41]
_TIMES = [0, 1, 999_999_999, 10**18, 10**18 + 123_456_789, -1_500_000_000, 1_234_567_890 * 10**9 + 100]
_MODES = [0o644, 0o755, 0o4755, 0o2711, 0o1777, 0]
_OWNERS = [0, 1000, 65534, 3_000_000]
_ATTRIBUTES = [
    ("user.a", b"1"),
    ("user.a", b"\xff\n="),
    ("user.b", b""),
    # Capability cap_net_raw+ep, revision 2 (linux/capability.h).
    ("security.capability", bytes.fromhex("0100000200200000000000000000000000000000")),
    ("trusted.stays", b"here"),
]
_TARGETS = ["a", "../outside", "/etc/passwd", "é" * 60]

_WORDS = ["directory", "file", "symlink", "fifo", "device", "socket", "link", "rename", "remove", "empty", "recreate"]
_WORDS += ["chmod", "chown", "utime", "xattr", "no_xattr", "write", "touch", "same_again"]
_number = st.integers(0, 1 << 16)
#: Operations on a tree: what, on which of the things that are there, and how.
operations = st.lists(
    st.tuples(
        st.sampled_from(_WORDS),
        _number,
        _number,
        _number,
    ),
    min_size=4,
    max_size=25,
)

Operation = tuple[str, int, int, int]
Description = dict[str, tuple[Any, ...]]


def _children(path: str) -> list[str]:
    return sorted(os.listdir(path), key=os.fsencode)


def _walk(root: str, below: str = "") -> list[tuple[str, os.stat_result]]:
    """All entries, the root included, parents first."""
    full = os.path.join(root, below) if below else root
    about = os.lstat(full)
    found = [(below, about)]
    if stat.S_ISDIR(about.st_mode):
        for name in _children(full):
            found += _walk(root, os.path.join(below, name))
    return found


def change(roots: list[str], wanted: list[Operation]) -> None:
    """Do the same to several equal trees. What the first of them cannot do is not done to the others."""
    for operation in wanted:
        action = _action(roots[0], operation)
        if action is None:
            continue
        try:
            action(roots[0])
        except OSError as error:
            # An overlay without redirects renames no directory of a layer below; some things are there already.
            assert error.errno in {errno.EXDEV, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL, errno.EPERM}, operation
            continue
        for root in roots[1:]:
            action(root)


def _action(root: str, operation: Operation) -> Any:
    what, where, which, how = operation
    entries = _walk(root)
    directories = [path for path, about in entries if stat.S_ISDIR(about.st_mode)]
    new = os.path.join(directories[where % len(directories)], _NAMES[which % len(_NAMES)])
    if what in _MAKERS:
        return None if any(path == new for path, _ in entries) else lambda root: _MAKERS[what](f"{root}/{new}", how)
    there = entries[1:]
    if not there:
        return None
    old, about = there[where % len(there)]
    if what in {"remove", "empty", "recreate"}:
        return lambda root: _REMOVERS[what](f"{root}/{old}")
    inode = (about.st_dev, about.st_ino)
    names = [path for path, other in entries if (other.st_dev, other.st_ino) == inode]
    if len(names) > 1 and not stat.S_ISDIR(about.st_mode):
        return None  # overlay would part the name from the others when it copies the file up
    if what in {"link", "rename"}:
        if any(path == new for path, _ in entries):
            return None
        function = os.link if what == "link" else os.rename
        return lambda root: function(f"{root}/{old}", f"{root}/{new}", **_NO_FOLLOW.get(what, {}))
    if stat.S_ISLNK(about.st_mode) and what != "utime":
        return None
    return lambda root: _CHANGERS[what](f"{root}/{old}", how)


def _write_new(path: str, how: int) -> None:
    with open(path, "xb") as file:
        file.write(_CONTENTS[how % len(_CONTENTS)])


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _empty(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        for name in _children(path):
            _remove(f"{path}/{name}")


def _recreate(path: str) -> None:
    """A directory of the same name with some of the same names in it: overlay makes it opaque."""
    names = _children(path) if os.path.isdir(path) and not os.path.islink(path) else []
    _remove(path)
    os.mkdir(path)
    for name in names[::2]:
        _write_new(f"{path}/{name}", len(name))


def _write_again(path: str, how: int) -> None:
    """New content of the same size, or of another, and perhaps the old time."""
    about = os.lstat(path)
    if not stat.S_ISREG(about.st_mode):
        return
    with open(path, "r+b") as file:
        file.truncate()
        file.write(_CONTENTS[how % len(_CONTENTS)])
    if how % 2:
        os.utime(path, ns=(about.st_mtime_ns, about.st_mtime_ns))


def _touch(path: str, how: int) -> None:
    """Make something in a directory, take it away, and set the time back: overlay has copied it up."""
    about = os.lstat(path)
    if stat.S_ISDIR(about.st_mode) and not os.path.lexists(f"{path}/passing"):
        _write_new(f"{path}/passing", how)
        os.unlink(f"{path}/passing")
        os.utime(path, ns=(about.st_mtime_ns, about.st_mtime_ns))


def _set_attribute(path: str, how: int) -> None:
    name, value = _ATTRIBUTES[how % len(_ATTRIBUTES)]
    about = os.lstat(path)
    if name.startswith("user.") and not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        return
    if name == "security.capability" and not stat.S_ISREG(about.st_mode):
        return
    os.setxattr(path, name, value, follow_symlinks=False)


def _remove_attributes(path: str, how: int) -> None:
    for name in os.listxattr(path, follow_symlinks=False):
        with contextlib.suppress(OSError):
            os.removexattr(path, name, follow_symlinks=False)


def _chown(path: str, how: int) -> None:
    os.chown(path, _OWNERS[how % 4], _OWNERS[how // 4 % 4], follow_symlinks=False)


def _utime(path: str, how: int) -> None:
    time = _TIMES[how % len(_TIMES)]
    os.utime(path, ns=(time, time), follow_symlinks=False)


def _same_again(path: str, how: int) -> None:
    """Nothing changes, but overlay copies it up."""
    os.chmod(path, stat.S_IMODE(os.lstat(path).st_mode))


_NO_FOLLOW: dict[str, dict[str, Any]] = {"link": {"follow_symlinks": False}}
_MAKERS: dict[str, Any] = {
    "directory": lambda path, _: os.mkdir(path),
    "file": _write_new,
    "symlink": lambda path, how: os.symlink(_TARGETS[how % len(_TARGETS)], path),
    "fifo": lambda path, _: os.mkfifo(path),
    "device": lambda path, how: os.mknod(
        path, (stat.S_IFCHR, stat.S_IFBLK)[how % 2] | 0o600, os.makedev(1 + how % 300, 3)
    ),
    "socket": lambda path, _: os.mknod(path, stat.S_IFSOCK | 0o600),
}
_REMOVERS: dict[str, Any] = {"remove": _remove, "empty": _empty, "recreate": _recreate}
_CHANGERS: dict[str, Any] = {
    "chmod": lambda path, how: os.chmod(path, _MODES[how % len(_MODES)]),
    "chown": _chown,
    "utime": _utime,
    "xattr": _set_attribute,
    "no_xattr": _remove_attributes,
    "write": _write_again,
    "touch": _touch,
    "same_again": _same_again,
}


def settle(root: str, salt: str) -> None:
    """Replace all times that are the present by ones that depend only on the path."""
    for path, about in reversed(_walk(root)):
        if about.st_mtime_ns > _RECENT:
            number = zlib.crc32(os.fsencode(salt + path))
            time = number * 10**9 // 4 + (number % 3) * 1_001
            os.utime(f"{root}/{path}" if path else root, ns=(time, time), follow_symlinks=False)


def remove_sockets(root: str) -> None:
    """Take away what no layer has, without a trace in the directories' times."""
    for path, about in _walk(root):
        if stat.S_ISSOCK(about.st_mode):
            directory = os.path.dirname(f"{root}/{path}")
            time = os.lstat(directory).st_mtime_ns
            os.unlink(f"{root}/{path}")
            os.utime(directory, ns=(time, time))


def describe(root: str) -> Description:
    """Everything that layers can say of a tree, by path; the last field is the first name of the same file."""
    found: Description = {}
    first: dict[tuple[int, int], str] = {}
    for path, about in _walk(root):
        full = os.path.join(root, path) if path else root
        kind = stat.S_IFMT(about.st_mode)
        if kind == stat.S_IFSOCK:
            continue
        content: Any = None
        if kind == stat.S_IFREG:
            with open(full, "rb") as file:
                content = file.read()
        elif kind == stat.S_IFLNK:
            content = os.readlink(full)
        elif kind in {stat.S_IFCHR, stat.S_IFBLK}:
            content = about.st_rdev
        attributes = {
            name: os.getxattr(full, name, follow_symlinks=False)
            for name in os.listxattr(full, follow_symlinks=False)
            if not name.startswith(("trusted.", "user.overlay."))
        }
        same = path if kind == stat.S_IFDIR else first.setdefault((about.st_dev, about.st_ino), path)
        found[path] = (about.st_mode, about.st_uid, about.st_gid, about.st_mtime_ns, content, attributes, same)
    return found


_TYPES = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


def apply_on_paper(before: Description, layer: bytes) -> Description:
    """The description of a tree after a layer was unpacked on it, by the words of the OCI image specification."""
    tree: dict[str, tuple[Any, list[str]]] = {}
    for path, fields in before.items():
        tree[path] = (fields[:-1], tree[fields[-1]][1] if fields[-1] in tree else [path])
    named: set[str] = set()
    with tarfile.open(fileobj=io.BytesIO(layer), encoding="utf-8", errors="surrogateescape") as archive:
        members = archive.getmembers()
        for member in members:
            path = os.path.normpath(member.name)
            path = "" if path == "." else path
            directory, name = os.path.split(path)
            if name == ".wh..wh..opq":
                _forget(tree, directory, below_only=True)
            elif name.startswith(".wh."):
                assert os.path.join(directory, name[4:]) in tree, "a whiteout hides nothing"
                _forget(tree, os.path.join(directory, name[4:]))
        for member in members:
            path = os.path.normpath(member.name)
            path = "" if path == "." else path
            if os.path.basename(path).startswith(".wh."):
                continue
            assert path not in named, "an entry is there twice"
            assert not path or os.path.dirname(path) in named, "a parent is missing, or comes later"
            named.add(path)
            fields = _fields(archive, member)
            if member.islnk():
                assert member.linkname in named
                original, names = tree[member.linkname]
                assert fields[1:4] == original[1:4]
                assert fields[5] == original[5]
                _forget(tree, path)
                tree[path] = (original, names)
                continue
            if not (member.isdir() and path in tree and stat.S_ISDIR(tree[path][0][0])):
                _forget(tree, path)
            tree[path] = (fields, [path])
    first: dict[int, str] = {}
    found = {}
    for path in sorted(tree, key=lambda path: os.fsencode(path).split(b"/")):
        fields, names = tree[path]
        found[path] = (*fields, path if stat.S_ISDIR(fields[0]) else first.setdefault(id(names), path))
    return found


def _forget(tree: dict[str, Any], path: str, *, below_only: bool = False) -> None:
    for other in list(tree):
        if (other == path and not below_only) or (other.startswith(path + "/") if path else other):
            del tree[other]


def _fields(archive: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[Any, ...]:
    content: Any = None
    if member.isreg():
        file = archive.extractfile(member)
        assert file is not None
        content = file.read()
    elif member.issym():
        content = member.linkname
    elif member.isdev() and not member.isfifo():
        content = os.makedev(member.devmajor, member.devminor)
    attributes = {
        key.removeprefix("SCHILY.xattr."): value.encode("utf-8", "surrogateescape")
        for key, value in member.pax_headers.items()
        if key.startswith("SCHILY.xattr.")
    }
    time = int(Decimal(member.pax_headers.get("mtime", str(member.mtime))) * 10**9)
    mode = member.mode | (0 if member.islnk() else _TYPES[member.type])
    return (mode, member.uid, member.gid, time, content, attributes)
