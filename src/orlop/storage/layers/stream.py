"""The bytes of an archive as they come out of a decompressor, which works, with the hashing, in a thread of its own.

Decompressing, hashing and the file system's calls all give up the interpreter's lock, so that two processors are busy
with one layer. A few pieces at most are waiting; a piece is passed on as it is, and views of it are written to files.
"""

from __future__ import annotations

import os
import threading
from _queue import SimpleQueue

from orlop.errors import InvalidArchive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from hashlib import _Hash

_MOST_WAITING = 4


class Stream:
    """An archive, read from its beginning to its end. `close` ends the thread."""

    __slots__ = ("_at", "_credits", "_data", "_ended", "_pieces", "_size", "_thread", "_view", "before")

    def __init__(self, pieces: Iterator[bytes], hasher: _Hash | None) -> None:
        """``hasher``, if there is one, is fed with all of ``pieces``; its result counts after `drain`."""
        self._data = b""
        self._view = memoryview(b"")
        self._at = 0
        self._size = 0
        self._ended = False
        #: Bytes that came before the present piece.
        self.before = 0
        self._pieces: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
        self._credits: SimpleQueue[bool] = SimpleQueue()
        for _ in range(_MOST_WAITING):
            self._credits.put(True)
        self._thread = threading.Thread(
            target=_produce, args=(pieces, hasher, self._pieces, self._credits), name="decompress", daemon=True
        )
        self._thread.start()

    @property
    def position(self) -> int:
        """How many bytes were read."""
        return self.before + self._at

    def close(self, *, wait: bool = True) -> None:
        """End the thread, wherever it is.

        Without ``wait`` it may still be reading what the pieces are made of, such as a pipe to which nobody writes.
        """
        self._credits.put(False)
        if wait:
            self._thread.join()
        self._ended = True

    def block(self) -> bytes:
        """The next 512 bytes; none at the archive's end.

        Raises:
            InvalidArchive: it ends within a block, or is damaged.
        """
        end = self._at + 512
        if end <= self._size:
            block = self._data[self._at : end]
            self._at = end
            return block
        if self._at == self._size and not self._next():
            return b""
        return self.read(512)

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, for what is small.

        Raises:
            InvalidArchive: there are not as many, or it is damaged.
        """
        end = self._at + size
        if end <= self._size:
            data = self._data[self._at : end]
            self._at = end
            return data
        parts = []
        while size:
            self._need()
            part = self._data[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes.

        Raises:
            InvalidArchive: there are not as many, or it is damaged.
        """
        while size > self._size - self._at:
            size -= self._size - self._at
            self._at = self._size
            self._need()
        self._at += size

    def skip_if_there(self, size: int) -> bool:
        """Pass over ``size`` bytes; False if the archive ends before them.

        Raises:
            InvalidArchive: it is damaged.
        """
        while size > self._size - self._at:
            size -= self._size - self._at
            self._at = self._size
            if not self._next():
                return False
        self._at += size
        return True

    def copy(self, descriptor: int, size: int) -> None:
        """Write the next ``size`` bytes to a file.

        Raises:
            InvalidArchive: there are not as many, or it is damaged.
            OSError: they cannot be written.
        """
        while size:
            if self._at == self._size:
                self._need()
            end = self._at + size
            count = os.write(descriptor, self._view[self._at : min(end, self._size)])
            self._at += count
            size -= count

    def view(self, size: int) -> memoryview:
        """Some of the next ``size`` bytes, at least one; it is valid until more is read.

        Raises:
            InvalidArchive: there are none, or it is damaged.
        """
        if self._at == self._size:
            self._need()
        view = self._view[self._at : min(self._at + size, self._size)]
        self._at += len(view)
        return view

    def drain(self) -> int:
        """Read to the end; returns the archive's size.

        Raises:
            InvalidArchive: it is damaged.
        """
        while self._next():
            pass
        self._thread.join()
        return self.before

    def _need(self) -> None:
        if self._at == self._size and not self._next():
            raise InvalidArchive(f"the layer is truncated: its archive ends after {self.before} bytes, inside an entry")

    def _next(self) -> bool:
        """Go on to the next piece; False at the end."""
        if self._ended:
            return False
        piece = self._pieces.get()
        if isinstance(piece, BaseException):
            self._ended = True
            raise piece
        self.before += self._size
        self._at = 0
        if piece is None:
            self._ended = True
            piece = b""
        else:
            self._credits.put(True)
        self._data = piece
        self._view = memoryview(piece)
        self._size = len(piece)
        return not self._ended


def _produce(
    pieces: Iterator[bytes],
    hasher: _Hash | None,
    queue: SimpleQueue[bytes | BaseException | None],
    permissions: SimpleQueue[bool],
) -> None:
    try:
        for piece in pieces:
            if hasher is not None:
                hasher.update(piece)
            if not permissions.get():
                return
            queue.put(piece)
        queue.put(None)
    except BaseException as error:  # noqa: BLE001 - it is raised where the pieces are wanted
        queue.put(error)
