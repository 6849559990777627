"""Layers for tests: archives made byte by byte, unpacked, and the trees that come of it described as values."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING, Any

from orlop.storage import digest
from orlop.storage.layers import apply, decompress
from orlop.storage.layers.limits import DEFAULT
from orlop.storage.snapshots.interface import OVERLAY, Target

if TYPE_CHECKING:
    from pathlib import Path

    from orlop.storage.layers.apply import Applied
    from orlop.storage.layers.limits import Limits

END = bytes(1024)
FILE, HARD_LINK, SYMBOLIC_LINK, CHARACTER, BLOCK, DIRECTORY, FIFO = (b"%d" % number for number in range(7))


def octal(value: int, width: int) -> bytes:
    """A number as a header has it."""
    return b"%0*o\0" % (width - 1, value)


def header(
    name: bytes,
    kind: bytes = FILE,
    *,
    size: int | bytes = 0,
    mode: int = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    mtime: int | bytes = 0,
    link: bytes = b"",
    magic: bytes = b"ustar\x0000",
    major: int = 0,
    minor: int = 0,
    rest: bytes = b"",
    signed: bool = False,
) -> bytes:
    """One block; numbers given as bytes are put in as they are, ``rest`` is what follows the device's number."""

    def field(value: int | bytes, width: int) -> bytes:
        return value.ljust(width, b"\0") if isinstance(value, bytes) else octal(value, width)

    start = name.ljust(100, b"\0") + octal(mode, 8) + field(uid, 8) + field(gid, 8) + field(size, 12) + field(mtime, 12)
    end = kind + link.ljust(100, b"\0") + magic + bytes(64) + octal(major, 8) + octal(minor, 8)
    if not magic.strip(b"\0"):
        end = kind + link.ljust(100, b"\0")
    end = end.ljust(345 - 156, b"\0") + rest
    block = (start + b" " * 8 + end).ljust(512, b"\0")
    total = sum(byte - 256 if signed and byte > 127 else byte for byte in block)
    return block[:148] + b"%06o\0 " % total + block[156:]


def raw_header(block: bytes) -> bytes:
    """A block with the checksum that makes it a header."""
    block = block[:512].ljust(512, b"\0")
    total = sum(block) - sum(block[148:156]) + 8 * 0x20
    return block[:148] + b"%06o\0 " % total + block[156:]


def padded(data: bytes) -> bytes:
    """Data as it is in an archive, in whole blocks."""
    return data + bytes(-len(data) % 512)


def member(name: bytes, data: bytes = b"", kind: bytes = FILE, **fields: Any) -> bytes:
    """An entry with its data."""
    return header(name, kind, size=len(data), **fields) + padded(data)


def directory(name: bytes, **fields: Any) -> bytes:
    """A directory's entry."""
    return header(name, DIRECTORY, **{"mode": 0o755, **fields})


def record(key: bytes, value: bytes) -> bytes:
    """A record of an extended header."""
    rest = len(key) + len(value) + 3
    length = rest
    while length != rest + len(str(length)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def pax(records: dict[bytes, bytes] | bytes, kind: bytes = b"x") -> bytes:
    """An extended header."""
    if isinstance(records, dict):
        records = b"".join(record(key, value) for key, value in records.items())
    return member(b"PaxHeader", records, kind)


def gnu_long(name: bytes, kind: bytes = b"L") -> bytes:
    """GNU tar's long name or, with ``K``, long link."""
    return member(b"././@LongLink", name + b"\0", kind, magic=b"ustar  \0")


def unpack(
    archive: bytes,
    target: Path,
    form: str = OVERLAY,
    *,
    rootless: bool = False,
    limits: Limits = DEFAULT,
    media_type: str = "",
    diff_id: str = "",
) -> Applied:
    """Unpack an archive that is in memory; the target is made if it is missing."""
    target.mkdir(exist_ok=True)
    source = os.memfd_create("layer")
    try:
        with open(source, "wb", closefd=False) as file:
            file.write(archive)
        os.lseek(source, 0, os.SEEK_SET)
        where = Target(str(target), form, rootless=rootless)
        return apply.apply(source, where, limits=limits, media_type=media_type, diff_id=diff_id)
    finally:
        os.close(source)


def unpack_here(archive: bytes, target: Path, form: str = OVERLAY, limits: Limits = DEFAULT) -> dict[str, Any]:
    """The same in this process, for tests that do it a thousand times; returns what the other process would report."""
    target.mkdir(exist_ok=True)
    directory = os.open(target, os.O_RDONLY)
    source = os.memfd_create("layer")
    mask = os.umask(0)
    try:
        os.write(source, archive)
        os.lseek(source, 0, os.SEEK_SET)
        head = decompress.read_head(source)
        codec = decompress.codec(decompress.detect(head))
        overlay = form == OVERLAY
        return apply.extract(
            source, directory, head, codec, digest.hasher(), limits, overlay=overlay, needs_end=codec is None
        )
    finally:
        os.umask(mask)
        for thread in threading.enumerate():
            if thread.name == "decompress":
                thread.join()
        os.close(source)
        os.close(directory)


def described(root: Path) -> dict[str, dict[str, Any]]:
    """Everything about every file below a directory, by path; the directory itself is ``.``."""
    found: dict[str, dict[str, Any]] = {}
    first: dict[tuple[int, int], str] = {}
    for top, directories, files in os.walk(root):
        for path in [top, *(os.path.join(top, name) for name in files)] + [
            os.path.join(top, name) for name in directories if os.path.islink(os.path.join(top, name))
        ]:
            try:
                about = os.lstat(path)
            except FileNotFoundError:
                continue  # overlayfs lists a whiteout where it merges nothing
            name = os.path.relpath(path, root)
            fields: dict[str, Any] = {
                "mode": stat.filemode(about.st_mode),
                "owner": (about.st_uid, about.st_gid),
                "mtime": about.st_mtime_ns,
                "xattrs": {
                    key: os.getxattr(path, key, follow_symlinks=False)
                    for key in os.listxattr(path, follow_symlinks=False)
                },
            }
            if stat.S_ISREG(about.st_mode):
                with open(path, "rb") as file:
                    fields["content"] = file.read()
                    fields["data"] = _segments(file.fileno(), about.st_size)
            elif stat.S_ISLNK(about.st_mode):
                fields["target"] = os.readlink(path)
            elif stat.S_ISCHR(about.st_mode) or stat.S_ISBLK(about.st_mode):
                fields["device"] = (os.major(about.st_rdev), os.minor(about.st_rdev))
            if not stat.S_ISDIR(about.st_mode):
                fields["links"] = about.st_nlink
                fields["same as"] = first.setdefault((about.st_dev, about.st_ino), name)
            found[name] = fields
    return found


def _segments(descriptor: int, size: int) -> list[tuple[int, int]]:
    """Where a file has data and not holes, rounded to pages."""
    segments = []
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(descriptor, start, os.SEEK_HOLE)
        segments.append((start // 4096, -(-at // 4096)))
    return segments
