"""Files of a container as archives: out of it, into it, and what is known of one of its paths.

These are the endpoints ``/containers/ID/archive`` of Docker's API. Paths are the container's, absolute or from its root;
one that ends in ``/`` or ``/.`` means the directory that a link leads to, any other the link itself.
"""

from __future__ import annotations

import os
import stat

from orlop.engine import container_tree, events, extraction
from orlop.errors import InvalidArgument, NotFound, OrlopError
from orlop.linux import path as paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from orlop.engine.container import Container
    from orlop.storage.layers.changes import Change

_MOST_LINKS = 40  # as many as the kernel follows
_READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


class PathStat:
    """What is known of a path in a container.

    ``mode`` is as in stat(2), ``mtime`` in nanoseconds since 1970. For a symbolic link, ``target`` is the path that it
    leads to in the end, in the container and without further links, whether that is there or not.
    """

    __slots__ = ("mode", "mtime", "name", "size", "target")

    def __init__(self, name: str, size: int, mode: int, mtime: int, target: str) -> None:
        self.name = name
        self.size = size
        self.mode = mode
        self.mtime = mtime
        self.target = target

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


def look(target: Container, path: str) -> PathStat:
    """What is known of a path.

    Raises:
        NotFound: there is nothing, or the container was removed.
        InvalidArgument: something that is no directory is taken for one.
        OrlopError: as `container_tree.visit`.
    """
    wanted = clean(path)
    return _stat_of(container_tree.visit(target, lambda root: _look(target.name, root, wanted)))


def copy_out(target: Container, path: str, output: int) -> PathStat:
    """Write an archive of what is at a path, which is its only top-level entry, to a descriptor.

    The name of the entry is the path's last component; that of a path that ends in ``/.`` is ``./``. What the kernel
    shows in /proc and the like is left out, unless the path itself is there.

    Raises:
        NotFound: there is nothing, or the container was removed.
        InvalidArgument: something that is no directory is taken for one.
        OrlopError: something cannot be read, or as `container_tree.visit`.
    """
    wanted = clean(path)
    found = container_tree.visit(target, lambda root: _write_out(target.name, root, wanted, output))
    events.of_container(target, "archive-path")
    return _stat_of(found)


def copy_in(
    target: Container,
    directory: str,
    source: int,
    *,
    renames: tuple[str, str] | None = None,
    replaces_directories: bool = False,
) -> extraction.Extracted:
    """Extract an archive, plain or compressed, from a descriptor into a directory.

    ``renames`` and ``replaces_directories`` are as in `extraction.Rules`. Owners are those that the archive says.

    Raises:
        NotFound: there is no such directory, or the container was removed.
        InvalidArgument: it is no directory, or something is in the way.
        InvalidArchive: the archive is damaged or hostile.
        OrlopError: something cannot be written, or as `container_tree.visit`.
    """
    rules = extraction.Rules(
        clean(directory), renames=renames, follows=True, keeps_owners=True, replaces_directories=replaces_directories
    )

    def extract(root: int) -> dict[str, Any]:
        done = extraction.extract(source, root, rules)
        return {"size": done.size, "warnings": done.warnings}

    found = container_tree.visit(target, extract)
    events.of_container(target, "extract-to-dir")
    return extraction.Extracted(found["size"], found["warnings"])


def clean(path: str) -> str:
    """An absolute path without ``..`` and double slashes; what it ends in, ``/`` or ``/.``, stays.

    Raises:
        InvalidArgument: it has a NUL.
    """
    if "\0" in path:
        raise InvalidArgument("a path cannot have a NUL in it")
    cleaned = "/" + os.path.normpath("/" + path).lstrip("/")
    if cleaned != "/":
        if path.endswith("/"):
            return cleaned + "/"
        if path.endswith("/.") or path == ".":
            return cleaned + "/."
    elif path.endswith("."):
        return "/."
    return cleaned


def write_tree(holder: int, name: bytes, directory: int, prefix: bytes, output: int) -> None:
    """Write an archive whose only top-level entry is called ``prefix``.

    It is ``directory``, which is open, with all that is in it, or if that is negative what is called ``name`` in
    ``holder``.

    Raises:
        OrlopError: something cannot be read, or the archive not be written.
    """
    from orlop.storage.layers import changes, diff, tar_writer

    archive = tar_writer.TarWriter(tar_writer.Descriptor(output))
    if directory >= 0:
        # Within what was asked for, that is, unless it is there itself.
        over = None if container_tree.is_kernel_s(directory) else _passes_over
        found = changes.walk(changes.Source(directory, passes_over=over))
        diff.write(_below(prefix, found), archive, is_layer=False)
    else:
        about = os.stat(name, dir_fd=holder, follow_symlinks=False)
        if stat.S_ISSOCK(about.st_mode):
            raise InvalidArgument(f"{os.fsdecode(name)} is a socket, which cannot be copied")
        diff.write([changes.Change(changes.ADDED, prefix, name, holder, about)], archive, is_layer=False)
    archive.finish()


def _passes_over(_path: bytes, directory: int) -> bool:
    return container_tree.is_kernel_s(directory)


def _below(prefix: bytes, found: Iterator[Change]) -> Iterator[Change]:
    for change in found:
        # The root of an archive with "." for its prefix has no name of its own.
        change.path = prefix + b"/" + change.path if change.path else (prefix if prefix != b"." else b"")
        yield change


def prefix_of(path: str) -> bytes:
    """What the top-level entry of an archive of this path is called."""
    if path.endswith("/."):
        return b"."
    return os.fsencode(path.rstrip("/").rpartition("/")[2]) or b"."


def _write_out(name: str, root: int, path: str, output: int) -> dict[str, Any]:
    handle = _open(name, root, path)
    try:
        about = os.fstat(handle)
        if stat.S_ISDIR(about.st_mode):
            directory = os.open(".", _READ_DIRECTORY | os.O_CLOEXEC, dir_fd=handle)
            try:
                write_tree(-1, b"", directory, prefix_of(path), output)
            finally:
                os.close(directory)
        else:
            parent, _, last = path.rpartition("/")
            holder = paths.open_in_root(root, parent or "/", _READ_DIRECTORY)
            try:
                write_tree(holder, os.fsencode(last), -1, prefix_of(path), output)
            finally:
                os.close(holder)
        return _described(root, path, about)
    except FileNotFoundError:
        raise _missing(name, path) from None  # just now
    except BrokenPipeError:
        raise OrlopError("nobody reads what is copied") from None
    finally:
        os.close(handle)


def _look(name: str, root: int, path: str) -> dict[str, Any]:
    handle = _open(name, root, path)
    try:
        return _described(root, path, os.fstat(handle))
    finally:
        os.close(handle)


def _open(name: str, root: int, path: str) -> int:
    try:
        return paths.open_in_root(root, path, os.O_PATH | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise _missing(name, path) from None
    except NotADirectoryError:
        raise InvalidArgument(f"{name}:{path}: not a directory") from None
    except OSError as error:
        raise InvalidArgument(f"{name}:{path}: {(error.strerror or '').lower()}") from None


def _missing(name: str, path: str) -> NotFound:
    return NotFound(f"could not find the file {path} in container {name}")


def _described(root: int, path: str, about: os.stat_result) -> dict[str, Any]:
    target = _final(root, path) if stat.S_ISLNK(about.st_mode) else ""
    return {
        "name": os.fsdecode(prefix_of(path)) if path.strip("/") not in ("", ".") else "/",
        "size": about.st_size,
        "mode": about.st_mode,
        "mtime": about.st_mtime_ns,
        "target": target,
    }


def _stat_of(found: dict[str, Any]) -> PathStat:
    return PathStat(found["name"], found["size"], found["mode"], found["mtime"], found["target"])


def _final(root: int, path: str) -> str:
    """Where a path leads to through all links below the root; what is missing on the way stays as it is spelled.

    This is a text: whoever opens it does so below the root again.
    """
    pending = paths.split(path)[::-1]
    done: list[str] = []
    links = 0
    while pending:
        name = pending.pop()
        if name == "..":
            if done:
                done.pop()
            continue
        try:
            handle = paths.open_in_root(root, "/".join(("", *done, name)), os.O_PATH | os.O_NOFOLLOW)
        except OSError:
            done.append(name)
            continue
        try:
            text = os.readlink("", dir_fd=handle) if stat.S_ISLNK(os.fstat(handle).st_mode) else ""
        finally:
            os.close(handle)
        if not text:
            done.append(name)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise InvalidArgument(f"{path}: too many levels of symbolic links")
        if text.startswith("/"):
            done.clear()
        pending.extend(paths.split(text)[::-1])
    return "/" + "/".join(done)
