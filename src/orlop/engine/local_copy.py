"""``docker cp``: between a container and this machine's files, by Docker's rules for what becomes of names.

A directory that is copied to one that is there becomes a directory in it; to a path that is not there, it becomes that
path; a source that ends in ``/.`` stands for what is in it. A file takes the place of a file, goes into a directory, or
gets the name that is not there yet, whose parent directory must be. See Docker's command line reference.
"""

from __future__ import annotations

import os
import stat

from orlop import json_text
from orlop.engine import copying, extraction
from orlop.errors import InvalidArchive, InvalidArgument, NotFound, OrlopError
from orlop.runtime import channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.extraction import Extracted

_MOST_LINKS = 10
_LONGEST_REPORT = 4096


class _Place:
    """A destination: its ``path`` with links followed, whether it is there, and a directory."""

    __slots__ = ("exists", "is_directory", "path")

    def __init__(self, path: str, *, exists: bool, is_directory: bool) -> None:
        self.path = path
        self.exists = exists
        self.is_directory = is_directory


def to_container(target: Container, source: str, destination: str, *, follows: bool = False) -> Extracted:
    """Copy a file or a directory of this machine into a container; with ``follows`` what a link ``source`` leads to.

    Raises:
        NotFound: the source, or the directory to copy to, is not there.
        InvalidArgument: the one is a directory and the other not, or something else is in the way.
        OrlopError: something cannot be read or written.
    """
    path, base = _local_source(source, follows=follows)
    place = _container_place(target, destination)
    directory, renames = _arrange(place, base, path, source_is_directory=stat.S_ISDIR(os.lstat(path).st_mode))
    with _Archive(lambda output: _write_local(path, output)) as archive:
        return archive.guard(lambda: copying.copy_in(target, directory, archive.reader, renames=renames))


def stream_to_container(target: Container, source: int, destination: str) -> Extracted:
    """Extract an archive from a descriptor into a container's directory.

    Raises:
        InvalidArgument: the destination is no directory.
        OrlopError: as `copying.copy_in`.
    """
    place = _container_place(target, destination)
    if not place.is_directory:
        raise InvalidArgument(f'destination "{target.name}:{destination}" must be a directory')
    return copying.copy_in(target, place.path, source)


def from_container(
    target: Container, source: str, destination: str, *, follows: bool = False, keeps_owners: bool = False
) -> Extracted:
    """Copy a file or a directory of a container to this machine; with ``follows`` what a link ``source`` leads to.

    What is made belongs to the user, without set-user-id bits, capabilities and devices, which a container could have
    prepared; with ``keeps_owners`` all of that is kept, as far as the user may.

    Raises:
        NotFound: the source, or the directory to copy to, is not there.
        InvalidArgument: the one is a directory and the other not, or something else is in the way.
        OrlopError: something cannot be read or written.
    """
    path, base, about = _container_source(target, source, follows=follows)
    place = _local_place(destination)
    directory, renames = _arrange(place, base, path, source_is_directory=about.is_directory)
    rules = extraction.Rules("/", renames=renames, follows=False, keeps_owners=keeps_owners)
    with _Archive(lambda output: copying.copy_out(target, path, output)) as archive:
        return archive.guard(lambda: _extract_here(target, archive.reader, directory, rules))


def stream_from_container(target: Container, source: str, output: int, *, follows: bool = False) -> None:
    """Write an archive of a file or a directory of a container to a descriptor.

    Raises:
        OrlopError: as `copying.copy_out`.
    """
    copying.copy_out(target, _container_source(target, source, follows=follows)[0], output)


def _extract_here(target: Container, source: int, directory: str, rules: extraction.Rules) -> Extracted:
    """Extract into a directory of this machine; an ordinary user's by way of a namespace of theirs."""
    from orlop.engine import container_tree

    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not target.location.rootless:
            return extraction.extract(source, descriptor, rules)

        def extract() -> dict[str, Any]:
            done = extraction.extract(source, descriptor, rules)
            return {"size": done.size, "warnings": done.warnings}

        found = container_tree.as_root_of_namespace(extract)
        return extraction.Extracted(found["size"], found["warnings"])
    finally:
        os.close(descriptor)


def _arrange(place: _Place, base: str, path: str, *, source_is_directory: bool) -> tuple[str, tuple[str, str] | None]:
    """The directory to extract to, and what becomes of the archive's top-level entry (see `extraction.Rules`).

    ``path`` is what is archived; ``base`` the last component of what the user named, which may be a link to it.
    """
    top = os.fsdecode(copying.prefix_of(path))
    if place.exists and place.is_directory:
        return place.path, None if base in (top, ".") else (top, base)
    if place.exists and source_is_directory:
        raise InvalidArgument("cannot copy directory: there is a file at the destination")
    if place.path.endswith("/") and not source_is_directory:
        raise NotFound(f"no such directory: {place.path}")
    parent, _, name = place.path.rstrip("/").removesuffix("/.").rpartition("/")
    return parent or "/", ("" if top == "." else top, name)


# This machine's side


def _local_source(source: str, *, follows: bool) -> tuple[str, str]:
    """The path to copy from, and the name that it is to have."""
    path = _absolute(source)
    base = os.fsdecode(copying.prefix_of(path))
    try:
        about = os.lstat(path)
        if follows and stat.S_ISLNK(about.st_mode):
            path = os.path.realpath(path, strict=True)
    except OSError as error:
        raise _explained(source, error) from None
    return path, base


def _absolute(path: str) -> str:
    """An absolute path that ends as the user's does: in ``/``, ``/.``, or neither."""
    if not path or "\0" in path:
        raise InvalidArgument("a path is empty or has a NUL in it")
    found = os.path.abspath(path)
    if path.endswith("/.") or path == ".":
        return found.rstrip("/") + "/."
    return found + "/" if path.endswith("/") and found != "/" else found


def _write_local(path: str, output: int) -> None:
    """Write an archive of something of this machine."""
    prefix = copying.prefix_of(path)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        about = os.lstat(path)
        if stat.S_ISDIR(about.st_mode):
            directory = os.open(path, flags)
            try:
                copying.write_tree(-1, b"", directory, prefix, output)
            finally:
                os.close(directory)
            return
        parent, _, name = path.rpartition("/")
        holder = os.open(parent or "/", flags)
        try:
            copying.write_tree(holder, os.fsencode(name), -1, prefix, output)
        finally:
            os.close(holder)
    except BrokenPipeError:
        return  # whoever reads has an error of their own
    except OSError as error:
        raise _explained(path, error) from None


def _local_place(destination: str) -> _Place:
    path = _absolute(destination)
    try:
        for _ in range(_MOST_LINKS):
            about = os.lstat(path)
            if not stat.S_ISLNK(about.st_mode):
                if not (stat.S_ISDIR(about.st_mode) or stat.S_ISREG(about.st_mode)):
                    raise InvalidArgument(f'invalid output path: "{destination}" must be a directory or a regular file')
                return _Place(path, exists=True, is_directory=stat.S_ISDIR(about.st_mode))
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        raise InvalidArgument(f"{destination}: too many symbolic links")
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _explained(destination, error) from None
    parent = os.path.dirname(path.rstrip("/").removesuffix("/."))
    if not os.path.isdir(parent):
        raise NotFound(f'invalid output path: directory "{parent}" does not exist')
    return _Place(path, exists=False, is_directory=False)


def _explained(path: str, error: OSError) -> OrlopError:
    reason = os.strerror(error.errno or 0)
    text = f"{path}: {reason[:1].lower()}{reason[1:]}"
    return NotFound(text) if isinstance(error, FileNotFoundError) else InvalidArgument(text)


# The container's side


def _container_source(target: Container, source: str, *, follows: bool) -> tuple[str, str, copying.PathStat]:
    """The path in the container to copy from, the name that the user gave to it, and what is known of it."""
    path = copying.clean(source)
    base = os.fsdecode(copying.prefix_of(path))
    about = copying.look(target, path)
    if follows and about.is_link:
        path = about.target
        about = copying.look(target, path)
    return path, base, about


def _container_place(target: Container, destination: str) -> _Place:
    path = copying.clean(destination)
    try:
        about = copying.look(target, path)
        if about.is_link:
            path = about.target
            about = copying.look(target, path)
    except NotFound:
        if not os.path.isdir(target.directory):
            raise
        return _Place(path, exists=False, is_directory=False)
    if not (about.is_directory or stat.S_ISREG(about.mode)):
        raise InvalidArgument(f'destination "{target.name}:{destination}" must be a directory or a regular file')
    return _Place(path, exists=True, is_directory=about.is_directory)


class _Archive:
    """What a child writes, to be read from ``reader``."""

    __slots__ = ("_child", "_report", "reader")

    def __init__(self, write: Callable[[int], object]) -> None:
        self.reader, writer = os.pipe2(os.O_CLOEXEC)
        self._report, report = os.pipe2(os.O_CLOEXEC)
        self._child = os.fork()
        if self._child == 0:
            status = 1
            try:
                os.close(self.reader)
                os.write(report, json_text.dumps(_said(write, writer)).encode()[:_LONGEST_REPORT])
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        os.close(report)

    def guard(self, read: Callable[[], Extracted]) -> Extracted:
        """Call what reads the archive. If that ends early, the error of whoever writes it is the one that counts."""
        try:
            found = read()
        except InvalidArchive:
            self._end()
            raise
        self._end()
        return found

    def _end(self) -> None:
        """Wait for the child; its error, if it had one."""
        if not self._child:
            return
        os.close(self.reader)
        with open(self._report, "rb") as file:
            text = file.read()
        _, status = os.waitpid(self._child, 0)
        self._child = 0
        said = json_text.loads(text) if text else {}
        if said:
            raise channel.revive(said)
        if status:
            raise OrlopError("a process of orlop's own ended without a word")

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            self._end()
        except OrlopError:
            return  # there is another error, to which this one is due: nobody reads any more


def _said(write: Callable[[int], object], output: int) -> dict[str, Any]:
    try:
        write(output)
    except OrlopError as error:
        return channel.describe(error)
    return {}
