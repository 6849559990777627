"""Unpacking a layer into a snapshot's directory.

::

    target = snapshots.unpack_target(key)
    descriptor = blobs.open(digest)
    applied = apply.apply(descriptor, target, media_type=layer.media_type, diff_id=config.diff_ids[0])

It happens in a process of its own (`confinement`), so layers that threads apply at the same time use as many processors.
What is unpacked, and what is refused, is told in `unpack`, how much it may be in `limits`.
"""

from __future__ import annotations

import errno
import os

from orlop import json_text
from orlop.errors import DigestMismatch, InsufficientSpace, InvalidArchive, OrlopError, Unsupported
from orlop.linux import path
from orlop.storage import digest, usage
from orlop.storage.layers import confinement, decompress, limits, merge, removal, tar_reader, unpack
from orlop.storage.layers.stream import Stream
from orlop.storage.snapshots.interface import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from hashlib import _Hash
    from typing import Any

    from orlop.storage.layers.decompress import Codec
    from orlop.storage.layers.limits import Limits
    from orlop.storage.layers.tree import Tree
    from orlop.storage.snapshots.interface import Target

_OVERLAY = "overlay"
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_RESOLVE = path.RESOLVE_BENEATH | path.RESOLVE_NO_SYMLINKS | path.RESOLVE_NO_MAGICLINKS
#: What the directory in the tree's root that a layer is first unpacked to begins its name with.
_STAGE = ".orlop-unpacking-"
#: What the other process reports by name.
_ERRORS: dict[str, type[OrlopError]] = {
    "InsufficientSpace": InsufficientSpace,
    "InvalidArchive": InvalidArchive,
    "Unsupported": Unsupported,
}


class Applied:
    """What came of unpacking a layer."""

    __slots__ = ("diff_id", "entries", "implicit_directories", "size", "usage", "warnings")

    def __init__(
        self,
        diff_id: str,
        size: int,
        entries: int,
        implicit_directories: list[bytes],
        warnings: list[str],
        usage: Usage | None,
    ) -> None:
        #: The digest of the uncompressed archive.
        self.diff_id = diff_id
        #: Bytes of the uncompressed archive.
        self.size = size
        #: Entries of the archive.
        self.entries = entries
        #: Directories that the layer has only because something is in them, relative to its root, which is empty. In
        #: overlay's form they are root's, 0755 and of 1970, and are to be given what the layers below say of them
        #: (`orlop.storage.layers.inherit`); in the merged form those that were there are as they were.
        self.implicit_directories = implicit_directories
        #: What was left out, a sentence each; not more than a few.
        self.warnings = warnings
        #: What the layer takes on the disk; in the merged form that is not known.
        self.usage = usage


def apply(
    source: int,
    target: Target,
    *,
    media_type: str = "",
    diff_id: str = "",
    limits: Limits = limits.DEFAULT,
) -> Applied:
    """Unpack a layer from where descriptor ``source`` stands, a file or a pipe, to its end.

    The compression is told by the data, and must be what ``media_type`` says if that is given. With ``diff_id`` the
    archive must have this digest. Without it, an uncompressed archive must have its end mark: nothing else would say that
    it is complete.

    Whatever is raised, the target is then to be thrown away; nothing outside of it was touched. Any number of threads
    may do this at the same time, for different targets; the interpreter is forked.

    Raises:
        InvalidArchive: the layer is damaged, hostile, or not what its media type says.
        Unsupported: it is compressed with something else than gzip or zstd, is no layer by its media type, or needs
            rights or a Python package that are missing.
        DigestMismatch: its DIFF ID is another one.
        InsufficientSpace: the target's file system is full.
        OrlopError: the kernel refuses something else; says which file and why.
        OSError: the source or the target cannot be opened or read.
    """
    head = decompress.read_head(source)
    codec = decompress.codec(decompress.detect(head, media_type))
    # Whatever takes a lock happens before the fork, since another thread may be holding it at that moment.
    hasher = digest.hasher(diff_id or "sha256:")
    directory = os.open(target.path, _OPEN)

    overlay = target.form == _OVERLAY
    needs_end = codec is None and not diff_id

    def work(source: int, directory: int) -> bytes:
        return _work(source, directory, head, codec, hasher, limits, overlay=overlay, needs_end=needs_end)

    try:
        report, status = confinement.run(work, source, directory)
        said = _understood(report, status)
        if diff_id and said["diff_id"] != diff_id:
            raise DigestMismatch(f"the layer's archive has the digest {said['diff_id']} and not {diff_id}")
        _mark_opaque(directory, said["opaque"], "user" if target.rootless else "trusted")
    finally:
        os.close(directory)
    implicit = [os.fsencode(name) for name in said["implicit"]]
    used = Usage(*said["usage"]) if said["usage"] else None
    return Applied(said["diff_id"], said["size"], said["entries"], implicit, said["warnings"], used)


def _work(
    source: int,
    directory: int,
    head: bytes,
    codec: Codec | None,
    hasher: _Hash,
    limits: Limits,
    *,
    overlay: bool,
    needs_end: bool,
) -> bytes:
    """Unpack, in the process that does nothing else, and report."""
    try:
        said = extract(source, directory, head, codec, hasher, limits, overlay=overlay, needs_end=needs_end)
    except OrlopError as error:
        said = {"error": type(error).__name__, "message": str(error)}
    except OSError as error:
        said = {"error": "OrlopError", "message": f"cannot unpack the layer: {error}"}
    except MemoryError:
        said = {"error": "OrlopError", "message": "cannot unpack the layer: there is not enough memory"}
    except Exception as error:  # noqa: BLE001 - a mistake of ours, which has to be told to the process that called
        said = {"error": "OrlopError", "message": f"cannot unpack the layer: {type(error).__name__}: {error}"}
    return os.fsencode(json_text.dumps(said))


def extract(
    source: int,
    directory: int,
    head: bytes,
    codec: Codec | None,
    hasher: _Hash,
    limits: Limits,
    *,
    overlay: bool,
    needs_end: bool,
) -> dict[str, Any]:
    """What `apply` does in the other process, in this one; for a process with one thread and umask 0.

    After an error a thread may still be reading the source; it ends with the process, or with the next piece.
    Nothing but compression or ``needs_end``, which demands the archive's end mark, tells that it is complete.

    Raises:
        OrlopError: as `apply` does.
        OSError: likewise.
    """
    status = os.fstatvfs(directory)
    pieces = decompress.chunks(head, source, codec, limits, status.f_bavail * status.f_frsize)
    stream = Stream(pieces, hasher)
    try:
        reader = tar_reader.TarReader(stream)
        if overlay:
            unpacker = unpack.Unpacker(reader, directory, limits)
            unpacker.run()
            _remove_useless_whiteouts(unpacker.tree, directory)
        else:
            unpacker = _extract_merged(reader, directory, limits)
        size = stream.drain()
    finally:
        stream.close(wait=False)
    if needs_end and not reader.ended:
        raise InvalidArchive(f"the layer is truncated: its archive ends after {size} bytes without an end mark")
    if overlay and b"" in unpacker.tree.opaque:
        raise Unsupported(
            "the layer's root directory is opaque, which overlayfs does not know: use another storage driver, such as vfs"
        )
    used = usage.of_directory(directory) if overlay else None
    return {
        "diff_id": digest.result(hasher),
        "usage": [used.bytes, used.inodes] if used is not None else None,
        "size": size,
        "entries": unpacker.entries,
        "implicit": [os.fsdecode(name) for name in unpacker.tree.implicit if not unpacker.tree.is_in_opaque(name)],
        "opaque": [os.fsdecode(name) for name in unpacker.tree.opaque] if overlay else [],
        "warnings": unpacker.warnings,
    }


def _remove_useless_whiteouts(tree: Tree, directory: int) -> None:
    """Remove the whiteouts below opaque directories: overlayfs, which does not merge those, would list their names."""
    if not tree.opaque:
        return
    for name in tree.whited_out:
        if name in tree.opaque or tree.is_in_opaque(name):
            merge.remove_whiteouts(directory, name)


def _extract_merged(reader: tar_reader.TarReader, directory: int, limits: Limits) -> unpack.Unpacker:
    """Unpack aside, then put the layer into the tree."""
    stage = _STAGE + os.urandom(8).hex()
    status = os.fstat(directory)
    times = (status.st_atime_ns, status.st_mtime_ns) if os.listdir(directory) else (0, 0)
    os.mkdir(stage, 0o755, dir_fd=directory)
    layer = os.open(stage, _OPEN, dir_fd=directory)
    try:
        unpacker = unpack.Unpacker(reader, layer, limits)
        unpacker.run()
        os.utime(directory, ns=times)
        tree = unpacker.tree
        merge.merge(
            layer,
            directory,
            opaque=tree.opaque,
            implicit=tree.implicit,
            whited_out=tree.whited_out,
            stage=os.fsencode(stage),
        )
    finally:
        os.close(layer)
    status = os.fstat(directory)
    removal.remove(directory, os.fsencode(stage))
    os.utime(directory, ns=(status.st_atime_ns, status.st_mtime_ns))
    return unpacker


def _understood(report: bytes, status: int) -> dict[str, Any]:
    """What the other process said, its error raised."""
    if report == confinement.NOT_PERMITTED:
        raise Unsupported("unpacking a layer needs root's rights, or those of root in a user namespace")
    try:
        said: dict[str, Any] = json_text.loads(os.fsdecode(report))
    except ValueError:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        how = f"was ended by signal {number}" if number else f"ended with status {os.waitstatus_to_exitcode(status)}"
        raise OrlopError(f"the process that unpacked the layer {how}") from None
    if "error" in said:
        raise _ERRORS.get(said["error"], OrlopError)(str(said["message"]))
    return said


def _mark_opaque(directory: int, names: Iterable[str], namespace: str) -> None:
    """Set overlayfs's own attribute, for which the other process has no right (CAP_SYS_ADMIN)."""
    for name in names:
        try:
            opaque = path.open_at(directory, name, _OPEN, resolve=_RESOLVE)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                continue  # another entry of the layer has replaced it
            raise
        try:
            os.setxattr(opaque, f"{namespace}.overlay.opaque", b"y")
        finally:
            os.close(opaque)
