"""A running container that stands still for a moment, and goes on whatever happens to whoever stopped it."""

from __future__ import annotations

import os

from orlop.errors import Conflict, NotFound, OrlopError, Unsupported
from orlop.runtime.container import Container as RuntimeContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container


#: Tells the child that there is nothing to thaw.
_NOT_OURS = b"-"


class paused:  # noqa: N801 - used like a function, as contextlib's are
    """``with paused(target) as stands_still:`` freezes what runs; a container that does not run, or is paused, stays so.

    ``stands_still`` is false if it runs and cannot be frozen, as an ordinary user's that has no control group.

    A child thaws it: when the block is left, and also if this process is killed.
    """

    __slots__ = ("_child", "_pipe", "_target")

    def __init__(self, target: Container) -> None:
        self._target = target
        self._child = 0
        self._pipe = -1

    def __enter__(self) -> bool:
        from orlop.runtime import pause

        try:
            inner = RuntimeContainer.load(self._target.location.runtime, self._target.id)
        except NotFound:
            return True  # it does not run
        reader, self._pipe = os.pipe2(os.O_CLOEXEC)
        self._child = os.fork()
        if self._child == 0:
            status = 1
            try:
                os.close(self._pipe)
                os.setsid()  # what a terminal sends to its foreground ends others
                if os.read(reader, 1) != _NOT_OURS:
                    _resume(inner)
                status = 0
            finally:
                os._exit(status)
        os.close(reader)
        try:
            pause.pause(inner)
        except Conflict:  # it has ended, or somebody else has paused it
            self._finish(_NOT_OURS)
        except Unsupported:
            self._finish(_NOT_OURS)
            return False
        except BaseException:
            self._finish(b"")
            raise
        return True

    def __exit__(self, *_exception: object) -> None:
        self._finish(b"")

    def _finish(self, word: bytes) -> None:
        if self._child:
            if word:
                os.write(self._pipe, word)
            os.close(self._pipe)
            _, status = os.waitpid(self._child, 0)
            self._child = 0
            if status:
                raise OrlopError(f"container {self._target.name} could not be made to go on: it is still paused")


def _resume(inner: RuntimeContainer) -> None:
    from orlop.runtime import pause

    try:
        pause.resume(inner)
    except Conflict:
        return  # it ended, or somebody else has made it go on
