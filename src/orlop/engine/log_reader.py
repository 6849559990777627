"""Reading a container's log: from the beginning, the last lines or a moment on, and on as it grows."""

from __future__ import annotations

import os
import time

from orlop import clock
from orlop.engine import log_formats, monitor_lock
from orlop.errors import NotFound, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orlop.engine.container import Container
    from orlop.engine.log_formats import Entry, File, Format
    from orlop.linux.inotify import Watch
    from orlop.linux.shared_inotify import SharedWatch

#: Seconds between looks whether the container still has a monitor, when nothing is written; and where many may look.
_LOOK = 1.0
_LOOK_OF_MANY = 5.0


def read(
    target: Container,
    *,
    tail: int | None = None,
    follow: bool = False,
    since: int | None = None,
    until: int | None = None,
    stopped: Callable[[], bool] | None = None,
) -> Iterator[Entry]:
    """The entries of a container's log, oldest first; the last ``tail`` ones only if that is given.

    ``since`` and ``until`` are nanoseconds since 1970. With ``follow`` it goes on until the container has ended or was
    removed, or ``stopped``, which is asked each second, says that nobody wants more.

    Raises:
        Unsupported: the container's log is kept where it cannot be read.
    """
    log = Log(target, tail=tail, follow=follow, since=since, until=until)
    try:
        for entry in log.entries():
            if entry is not None:
                yield entry
            elif stopped is not None and stopped():
                return
            else:
                log.wait()
    finally:
        log.close()


def where(target: Container) -> tuple[str, Format]:
    """The newest file of a container's log, and its format.

    Raises:
        Unsupported: there is none that could be read.
    """
    from orlop.engine import log_drivers

    try:
        log = target.record["HostConfig"]["LogConfig"]
    except NotFound:
        log = {"Type": log_drivers.JSON_FILE, "Config": {}}
    if log["Type"] == log_drivers.JSON_FILE:
        return target.log, log_formats.Json()
    if log["Type"] == log_drivers.NONE or log["Config"].get("cache-disabled") in ("true", "1"):
        raise Unsupported(f"the log of container {target.name} cannot be read: its log driver is {log['Type']}")
    return log_drivers.local_path(target.directory), log_formats.Local()


class Log:
    """The log of a container, for who waits for several things at once; the arguments are those of `read`.

    ``watch`` is how changes of a directory are watched, if not each by itself.

    Raises:
        Unsupported: the container's log is kept where it cannot be read.
    """

    __slots__ = (
        "_first",
        "_follow",
        "_format",
        "_last",
        "_make_watch",
        "_path",
        "_tail",
        "_target",
        "_until",
        "_watch",
    )

    def __init__(
        self,
        target: Container,
        *,
        tail: int | None = None,
        follow: bool = False,
        since: int | None = None,
        until: int | None = None,
        watch: Callable[[str], Watch | SharedWatch] | None = None,
    ) -> None:
        self._make_watch = watch
        self._path, self._format = where(target)
        self._target = target
        self._tail = tail
        self._follow = follow
        self._until = until
        self._first = "" if since is None else clock.text(since)
        self._last = "" if until is None else clock.text(until)
        self._watch: Watch | SharedWatch | None = None

    @property
    def descriptor(self) -> int:
        """What poll(2) finds readable when there may be more, once `entries` has yielded None."""
        return self._watch.descriptor if self._watch is not None else -1

    @property
    def patience(self) -> float:
        """How many seconds to wait for that at most."""
        look = _LOOK if self._make_watch is None else _LOOK_OF_MANY
        return look if self._until is None else min(look, max(0.0, (self._until - time.time_ns()) / 1e9))

    def wait(self, patience: float | None = None) -> None:
        """Wait until there may be more, so many seconds at most; who has waited already says 0."""
        if self._watch is not None:
            self._watch.wait(self.patience if patience is None else patience)

    def close(self) -> None:
        """Stop."""
        if self._watch is not None:
            self._watch.close()

    def entries(self) -> Iterator[Entry | None]:
        """The entries; None where there are no more before the next wait."""
        for entry in self._grow() if self._follow else self._now():
            if entry is None:
                yield None
            elif self._last and entry.time > self._last:
                return
            elif entry.time >= self._first:
                yield entry

    def _now(self) -> Iterator[Entry]:
        """What is there now."""
        files, offset = self._begin(self._tail)
        try:
            for file in files:
                yield from file.entries(self._format, offset)
                offset = 0
        finally:  # whoever reads may have enough
            for file in files:
                file.close()

    def _grow(self) -> Iterator[Entry | None]:
        """What is there and what comes, until the container has ended."""
        from orlop.linux.inotify import Watch

        directory = os.path.dirname(self._path)
        watch = self._make_watch or Watch
        self._watch = watch(directory if os.path.isdir(directory) else self._target.directory)
        files, offset = self._begin(self._tail)
        try:
            while True:
                # Asked before reading: what was written before the monitor went is read in this round.
                ended = self._has_ended()
                for number, file in enumerate(files):
                    yield from file.entries(self._format, offset)
                    offset = -1 if number == len(files) - 1 else 0
                newer = self._after(files[-1] if files else None)
                if newer:
                    for file in files:
                        yield from file.entries(self._format, -1)  # written between our last look and its replacement
                        file.close()
                    files, offset = newer, 0
                    continue
                if ended or (self._until is not None and time.time_ns() > self._until):
                    return
                for file in files[:-1]:
                    file.close()
                files = files[-1:]
                offset = -1
                yield None
        finally:
            for file in files:
                file.close()

    def _begin(self, tail: int | None) -> tuple[list[File], int]:
        """The files to read, and the offset in the first of them."""
        files = log_formats.open_files(self._path) or []
        if tail is None:
            return files, 0
        for number in range(len(files) - 1, -1, -1):
            offset, count = self._format.tail(files[number].data(), tail)
            if count >= tail or number == 0:
                for file in files[:number]:
                    file.close()
                return files[number:], offset
            tail -= count
        return files, 0

    def _after(self, current: File | None) -> list[File]:
        """The files that were begun since ``current``."""
        newest = log_formats.open_newest(self._path)
        if newest is None:
            return []
        if current is None:
            return [newest]
        is_same = newest.is_same(current)
        newest.close()
        files = None if is_same else log_formats.open_files(self._path)
        if files is None:
            return []  # or they are replaced faster than we can look
        for number, file in enumerate(files):
            if file.is_same(current):
                for each in files[: number + 1]:
                    each.close()
                return files[number + 1 :]
        return files  # so much was written meanwhile that the one we have read is gone

    def _has_ended(self) -> bool:
        """Whether nothing will be written any more: the end is recorded, or the container is gone or has no monitor."""
        return (
            not os.path.isdir(self._target.directory)
            or self._target.state()["Status"] == "exited"
            or not monitor_lock.is_held(self._target.location, self._target.id)
        )
