"""One at a time for a name, over all processes and threads: so that two that need the same thing make it once."""

from __future__ import annotations

import fcntl
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

#: How many seconds pass between two looks whether another has let go, for who wants to be asked meanwhile.
_PAUSE = 0.02


class NamedLock:
    """An exclusive flock on the file of a name in a directory, which is made when needed.

    The file is removed by whoever releases the lock; one that is left over by a killed process means nothing.
    """

    __slots__ = ("_descriptor", "_path")

    def __init__(self, directory: str, name: str) -> None:
        self._path = f"{directory}/{name}"
        self._descriptor = -1

    def acquire(self, waiting: Callable[[], None] | None = None) -> NamedLock:
        """Wait until nobody else has the lock. Meanwhile ``waiting`` is called again and again; what it raises ends it.

        Raises:
            OSError: the file cannot be made.
        """
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
                continue
            try:
                if waiting is None:
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                else:
                    while not _try(descriptor):
                        waiting()
                        time.sleep(_PAUSE)
                if os.fstat(descriptor).st_ino == os.stat(self._path).st_ino:
                    self._descriptor = descriptor
                    return self
            except FileNotFoundError:
                pass  # released and removed while we waited
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def release(self) -> None:
        """Let the next one have it. Releasing twice is all right."""
        if self._descriptor < 0:
            return
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass  # the whole directory was cleared by hand
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile has the descriptor too
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> NamedLock:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def sweep(directory: str) -> None:
    """Remove the files of locks that nobody has, as killed processes leave them.

    Raises:
        OSError: one cannot be removed.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return  # never used
    for name in names:
        try:
            descriptor = os.open(f"{directory}/{name}", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # released
        try:
            # Whoever waits for it, or opened it just now, looks again when they have it.
            if _try(descriptor) and os.fstat(descriptor).st_nlink:
                os.unlink(f"{directory}/{name}")
        except FileNotFoundError:
            continue  # somebody else was quicker
        finally:
            os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
