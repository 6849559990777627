"""Containers that stand still: until somebody makes them go on, or for a moment, whatever happens to whoever paused them.

That a container is paused is not written down: it is so if its control group is frozen.
"""

from __future__ import annotations

import os

from orlop.errors import Conflict, NotFound, OrlopError, Unsupported
from orlop.runtime.container import Container as RuntimeContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.container import Container


#: Tells the child that there is nothing to thaw.
_NOT_OURS = b"-"


def pause(target: Container) -> None:
    """Freeze a running container.

    Raises:
        Conflict: it does not run, or is paused.
        Unsupported: it has no control group that could be frozen, as an ordinary user's may have none.
    """
    from orlop.runtime import pause

    inner = _running(target)
    try:
        pause.pause(inner)
    except Conflict:
        if inner.alive():
            raise Conflict(f"container {target.name} is already paused") from None
        raise Conflict(f"container {target.name} is not running") from None
    _tell(target, "pause")


def unpause(target: Container) -> None:
    """Make a paused container go on.

    Raises:
        Conflict: it is not paused.
    """
    from orlop.runtime import pause

    try:
        pause.resume(_running(target))
    except Conflict:
        raise Conflict(f"container {target.name} is not paused") from None
    _tell(target, "unpause")


def state(target: Container) -> dict[str, Any]:
    """What became of a container, as `Container.state` tells, and whether it is paused now."""
    found = target.state()
    if found["Status"] == "running" and is_paused(target):
        found["Status"] = "paused"
        found["Paused"] = True
    return found


def is_paused(target: Container) -> bool:
    """Whether a container that runs stands still."""
    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
        return inner.record is not None and inner.cgroup().frozen
    except NotFound:
        return False


def _running(target: Container) -> RuntimeContainer:
    from orlop.engine import repair

    repair.look_after(target)
    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
    except NotFound:
        raise Conflict(f"container {target.name} is not running") from None
    if not inner.alive():
        raise Conflict(f"container {target.name} is not running")
    return inner


def _tell(target: Container, action: str) -> None:
    from orlop.engine import events

    events.of_container(target, action)


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
        except (Conflict, NotFound, FileNotFoundError):  # it has ended, or somebody else has paused it
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
    except (Conflict, NotFound):
        return  # it ended, or somebody else has made it go on
    except FileNotFoundError:
        if inner.alive():
            raise
