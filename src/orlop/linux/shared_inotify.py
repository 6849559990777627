"""One inotify instance for all who watch directories in a process: a user may have only 128 of them (inotify(7))."""

from __future__ import annotations

import os
import select
import sys

from orlop.linux import inotify

_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_EVENT = 16  # bytes before the name: which watch, what, a cookie, and how long the name is
_LARGEST = 65536


class SharedWatches:
    """What a process watches. Somebody has to call `dispatch` when the ``descriptor`` is readable."""

    __slots__ = ("_descriptor", "_watches")

    def __init__(self) -> None:
        self._descriptor = inotify.open_instance()
        self._watches: dict[int, set[SharedWatch]] = {}

    @property
    def descriptor(self) -> int:
        """What poll(2) finds readable when something changed."""
        return self._descriptor

    def watch(self, directory: str) -> SharedWatch:
        """Watch one directory.

        Raises:
            OSError: it is not there, or the user watches too many (``fs.inotify.max_user_watches``).
        """
        number = inotify.add_watch(self._descriptor, directory)
        made = SharedWatch(self, number)
        self._watches.setdefault(number, set()).add(made)
        return made

    def forget(self, number: int, gone: SharedWatch) -> None:
        """Have one watch less; the last of a directory ends the kernel's."""
        watches = self._watches.get(number)
        if watches is None or gone not in watches:
            return
        watches.remove(gone)
        if not watches:
            del self._watches[number]
            inotify.remove_watch(self._descriptor, number)

    def dispatch(self) -> None:
        """Tell everybody in whose directory something changed."""
        while True:
            try:
                data = os.read(self._descriptor, _LARGEST)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                number, kind, _, length = (
                    int.from_bytes(data[start : start + 4], sys.byteorder) for start in range(at, at + _EVENT, 4)
                )
                at += _EVENT + length
                if kind & _IN_Q_OVERFLOW:
                    for watches in self._watches.values():
                        _tell(watches)
                elif kind & _IN_IGNORED:
                    _tell(self._watches.pop(number, set()))  # the directory is gone
                else:
                    _tell(self._watches.get(number, set()))

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)


class SharedWatch:
    """Changes to the entries of one directory, as `inotify.Watch` tells of them."""

    __slots__ = ("_all", "_descriptor", "_number")

    def __init__(self, shared: SharedWatches, number: int) -> None:
        self._all = shared
        self._number = number
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    @property
    def descriptor(self) -> int:
        """What poll(2) finds readable when something changed."""
        return self._descriptor

    def tell(self) -> None:
        """Say that something changed."""
        os.eventfd_write(self._descriptor, 1)

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds; whether anything changed since the last time."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if not poll.poll(timeout * 1000):
            return False
        os.eventfd_read(self._descriptor)
        return True

    def close(self) -> None:
        """Stop watching."""
        self._all.forget(self._number, self)
        os.close(self._descriptor)


def _tell(watches: set[SharedWatch]) -> None:
    for each in watches:
        each.tell()
