"""Reading the files of an image, which are whatever somebody hostile has made them.

Nothing is followed out of its root, nothing but regular files is opened, and so much is read of each and no more.
"""

from __future__ import annotations

import os
import stat

from orlop.build import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.build.tree import Entry

#: The most that is read of one file, in bytes: what dpkg knows of a large desktop is a tenth of it.
LARGEST = 64 << 20
#: Files that one database may be spread over.
_MOST_FILES = 20_000
_CHUNK = 1 << 20


class Files:
    """The files below an open directory, which is an image's root."""

    __slots__ = ("_root",)

    def __init__(self, root: int) -> None:
        self._root = root

    def open(self, path: str) -> int | None:
        """A readable descriptor of a regular file; None if there is none. Links are followed below the root only."""
        try:
            place = tree.resolve(self._root, path)
        except OSError:
            return None
        try:
            if not stat.S_ISREG(os.fstat(place).st_mode):
                return None
            return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        finally:
            os.close(place)

    def text(self, path: str, limit: int = LARGEST) -> str | None:
        """The beginning of a file, what is not UTF-8 replaced; None if there is no such file."""
        descriptor = self.open(path)
        return None if descriptor is None else _text(descriptor, limit)

    def names(self, path: str) -> list[str]:
        """What is in a directory, in order; nothing if it is none."""
        try:
            place = tree.resolve(self._root, path)
        except OSError:
            return []
        try:
            directory = tree.opened(place)
        except OSError:
            return []
        finally:
            os.close(place)
        try:
            return sorted(os.listdir(directory))[:_MOST_FILES]
        finally:
            os.close(directory)

    def walk(self) -> Iterator[Entry]:
        """Every entry, as `orlop.build.tree.walk` gives it."""
        return tree.walk(self._root)


def text_of(entry: Entry, limit: int) -> str:
    """The beginning of a file that a walk has come to; empty if it is none by now."""
    if not stat.S_ISREG(entry.about.st_mode):
        return ""
    try:
        return _text(entry.open(), limit)
    except OSError:
        return ""


def _text(descriptor: int, limit: int) -> str:
    data = bytearray()
    try:
        while len(data) < limit and (piece := os.read(descriptor, min(_CHUNK, limit - len(data)))):
            data += piece
    finally:
        os.close(descriptor)
    return data.decode("utf-8", "replace")
