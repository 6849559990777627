"""Walking a tree of files that somebody hostile may have made, or be changing: by descriptors, and through no link."""

from __future__ import annotations

import errno
import os
import stat

from orlop.errors import InvalidArgument
from orlop.linux import path as paths
from orlop.storage.layers import attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orlop.build.ignore import Ignored

#: Directories that may lie in each other; each has a descriptor while it is walked through.
DEEPEST = 2000
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class Entry:
    """One entry of a tree: ``path`` from where the walk began, ``name`` in the open directory ``holder``."""

    __slots__ = ("about", "holder", "name", "path")

    def __init__(self, path: str, holder: int, name: str, about: os.stat_result) -> None:
        self.path = path
        self.holder = holder
        self.name = name
        self.about = about

    def open(self) -> int:
        """A readable descriptor of a regular file or a directory.

        Raises:
            OSError: it cannot be opened, or is a link by now.
        """
        # O_NONBLOCK: a fifo that somebody puts in its place must not hold us.
        return os.open(self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.holder)

    def attributes(self) -> dict[bytes, bytes]:
        """The extended attributes that belong to it; links have none.

        Raises:
            OSError: they cannot be read.
        """
        mode = self.about.st_mode
        if stat.S_ISLNK(mode):
            return {}
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return attributes.read(f"/proc/self/fd/{self.holder}/{self.name}")
        descriptor = self.open()
        try:
            return attributes.read(descriptor)
        finally:
            os.close(descriptor)


class OpenEntry(Entry):
    """An entry that is open (O_PATH) as ``holder``, and stays itself whatever becomes of its name."""

    __slots__ = ()

    def __init__(self, path: str, place: int, about: os.stat_result) -> None:
        super().__init__(path, place, "", about)

    def open(self) -> int:
        """As `Entry.open`."""
        return os.open(f"/proc/self/fd/{self.holder}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


class _Level:
    __slots__ = ("descriptor", "matched", "names", "path")

    def __init__(self, descriptor: int, path: str, matched: Sequence[bool], *, names: list[str]) -> None:
        self.descriptor = descriptor
        self.path = path
        self.matched = matched
        self.names = names


def walk(directory: int, ignored: Ignored | None = None, below: str = "") -> Iterator[Entry]:
    """Everything in an open directory, each directory before what is in it, names in their order.

    ``below`` is the directory's own path for the patterns of ``ignored``, whose matches are left out; a directory that is
    left out is given if something in it is not. An entry is valid until the next one is asked for.

    Raises:
        InvalidArgument: directories lie too deep in each other.
        OSError: a directory cannot be read.
    """
    matched: list[bool] = []
    if ignored and below:
        parts = below.split("/")
        for end in range(1, len(parts) + 1):
            matched = ignored.matched_by("/".join(parts[:end]), matched)
    levels = [_level(os.open(".", _DIRECTORY, dir_fd=directory), "", matched)]
    held: list[Entry] = []  # directories that are left out, unless something in them is not
    try:
        while levels:
            level = levels[-1]
            if not level.names:
                os.close(level.descriptor)
                levels.pop()
                if held and held[-1].path == level.path:
                    held.pop()
                continue
            name = level.names.pop()
            path = f"{level.path}/{name}" if level.path else name
            try:
                about = os.lstat(name, dir_fd=level.descriptor)
            except FileNotFoundError:
                continue  # removed meanwhile
            is_directory = stat.S_ISDIR(about.st_mode)
            entry = Entry(path, level.descriptor, name, about)
            matched = []
            if ignored:
                whole = f"{below}/{path}" if below else path
                matched = ignored.matched_by(whole, level.matched)
                if ignored.is_out(matched):
                    if not is_directory or not ignored.may_be_in_below(whole):
                        continue
                    held.append(entry)
                else:
                    yield from held
                    held.clear()
                    yield entry
            else:
                yield entry
            if is_directory:
                levels.append(_enter(levels, entry, matched))
    finally:
        for level in levels:
            os.close(level.descriptor)


def _enter(levels: list[_Level], entry: Entry, matched: Sequence[bool]) -> _Level:
    if len(levels) > DEEPEST:
        raise InvalidArgument(f"more than {DEEPEST} directories lie in each other below {entry.path[:80]}…")
    try:
        return _level(os.open(entry.name, _DIRECTORY, dir_fd=entry.holder), entry.path, matched)
    except OSError as error:
        if error.errno not in ABSENT:
            raise
        return _Level(os.dup(entry.holder), entry.path, (), names=[])  # removed or replaced meanwhile


def _level(descriptor: int, path: str, matched: Sequence[bool]) -> _Level:
    return _Level(descriptor, path, matched, names=sorted(os.listdir(descriptor), reverse=True))


def resolve(root: int, path: str, *, follow: bool = True) -> int:
    """Open what a path means below a root (O_PATH), links being followed below it only.

    Raises:
        OSError: it is not there, or links go round.
    """
    flags = os.O_PATH | (0 if follow else os.O_NOFOLLOW)
    return paths.open_in_root(root, path or ".", flags)


def opened(place: int) -> int:
    """A readable descriptor of a directory that an O_PATH descriptor means."""
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
