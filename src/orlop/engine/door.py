"""A listening socket of the launcher's, at which a child that it keeps ready waits for a caller."""

from __future__ import annotations

import _socket
import os
import select

_BACKLOG = 128


class Door:
    """One socket in the run directory.

    Others cannot reach it, the directory being ours alone; and callers are checked.
    """

    __slots__ = ("_listener",)

    def __init__(self, path: str) -> None:
        """Open it in the place of one whose launcher was killed."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        self._listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        self._listener.bind(path)
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)

    @property
    def descriptor(self) -> int:
        """The socket's, for a child that is not to wait here to close."""
        return self._listener.fileno()

    def wait(self, alive: int) -> _socket.socket | None:
        """Wait for a caller; None if nobody waits any more and the pipe ``alive`` has ended."""
        poll = select.poll()
        poll.register(self._listener.fileno(), select.POLLIN)
        poll.register(alive, 0)
        while True:
            events = dict(poll.poll())
            try:
                # The C type's only way to accept; the package `socket` on top of it costs imports.
                descriptor, _ = self._listener._accept()  # type: ignore[attr-defined] # noqa: SLF001
            except BlockingIOError:
                if alive in events:
                    return None
                continue  # the caller went away again
            return _socket.socket(fileno=descriptor)
