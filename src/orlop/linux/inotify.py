"""Being told of changes in a directory: inotify(7)."""

from __future__ import annotations

import os
import select
import sys

from orlop.linux.call import check, libc_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_IN_MODIFY = 0x2
_IN_ATTRIB = 0x4
_IN_MOVED_FROM = 0x40
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_DELETE = 0x200
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800
_IN_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_IN_ONLYDIR = 0x01000000
_WANTED = _IN_MODIFY | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_MOVE_SELF
_NAMES = _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_ONLYDIR
_CONTENTS = _WANTED | _IN_ATTRIB | _IN_DELETE_SELF | _IN_ONLYDIR
_EVENT = 16  # bytes before the name: which watch, what, a cookie, and how long the name is
_LARGEST = 65536


class Watch:
    """Changes to the entries of one directory: written to, made, moved, removed."""

    __slots__ = ("_descriptor",)

    def __init__(self, directory: str) -> None:
        self._descriptor = open_instance()
        try:
            add_watch(self._descriptor, directory)
        except OSError:
            self.close()
            raise

    @property
    def descriptor(self) -> int:
        """What poll(2) finds readable when something changed."""
        return self._descriptor

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds; whether anything changed since the last time."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if not poll.poll(timeout * 1000):
            return False
        try:
            while os.read(self._descriptor, _LARGEST):
                pass  # what changed is looked up anyway
        except BlockingIOError:
            pass  # all read
        return True

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)


class NameWatch:
    """Which names appear in any number of directories, and which disappear."""

    __slots__ = ("_descriptor", "_directories")

    def __init__(self) -> None:
        self._descriptor = open_instance()
        self._directories: dict[int, str] = {}

    @property
    def descriptor(self) -> int:
        """What poll(2) finds readable when something changed."""
        return self._descriptor

    def add(self, directory: str) -> None:
        """Watch one directory more, until it is gone.

        Raises:
            OSError: it is not there, or the user watches too many (``fs.inotify.max_user_watches``).
        """
        self._directories[_add(self._descriptor, directory, _NAMES)] = directory

    def changed(self) -> set[tuple[str, str]]:
        """What has changed since the last time: directories, each with a name in it.

        The name is empty if all of the directory has to be looked at anew: it is gone, or there were too many changes.
        """
        found: set[tuple[str, str]] = set()
        while True:
            try:
                data = os.read(self._descriptor, _LARGEST)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                watch, kind, _, length = (
                    int.from_bytes(data[start : start + 4], sys.byteorder) for start in range(at, at + _EVENT, 4)
                )
                name = data[at + _EVENT : at + _EVENT + length].rstrip(b"\0")
                at += _EVENT + length
                if kind & _IN_OVERFLOW:
                    found.update((directory, "") for directory in self._directories.values())
                elif kind & _IN_IGNORED:
                    directory = self._directories.pop(watch, "")
                    found.update({(directory, "")} if directory else ())
                elif watch in self._directories:
                    found.add((self._directories[watch], os.fsdecode(name)))

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)


def open_instance() -> int:
    """A new inotify instance, which does not wait when it is read."""
    return check(libc_function("inotify_init1", 1)(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")


def add_watch(descriptor: int, directory: str) -> int:
    """Have an instance watch a directory's entries; the watch's number, which is the same for the same directory.

    Raises:
        OSError: it is not there, or the user watches too many.
    """
    return _add(descriptor, directory, _WANTED)


def watch_contents(directories: Iterable[str]) -> int:
    """An instance that is readable from the first change of these directories' files on, be it of their times only.

    Raises:
        OSError: a directory is not there, or the user watches too many.
    """
    descriptor = open_instance()
    try:
        for directory in directories:
            _add(descriptor, directory, _CONTENTS)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def remove_watch(descriptor: int, number: int) -> None:
    """Have an instance not watch a directory any more."""
    libc_function("inotify_rm_watch", 2)(descriptor, number)  # EINVAL: the directory went first


def _add(descriptor: int, directory: str, wanted: int) -> int:
    add = libc_function("inotify_add_watch", 3)
    return check(add(descriptor, os.fsencode(directory), wanted), "inotify_add_watch", directory)
