"""Being told of changes in a directory: inotify(7)."""

from __future__ import annotations

import os
import select

from orlop.linux.call import check, libc_function

_IN_MODIFY = 0x2
_IN_MOVED_FROM = 0x40
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_DELETE = 0x200
_IN_MOVE_SELF = 0x800
_WANTED = _IN_MODIFY | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_MOVE_SELF


class Watch:
    """Changes to the entries of one directory: written to, made, moved, removed."""

    __slots__ = ("_descriptor",)

    def __init__(self, directory: str) -> None:
        self._descriptor = check(libc_function("inotify_init1", 1)(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")
        try:
            add = libc_function("inotify_add_watch", 3)
            check(add(self._descriptor, os.fsencode(directory), _WANTED), "inotify_add_watch", directory)
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
            while os.read(self._descriptor, 65536):
                pass  # what changed is looked up anyway
        except BlockingIOError:
            pass  # all read
        return True

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)
