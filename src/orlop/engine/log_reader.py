"""Reading a container's log: from the beginning or the last lines, and on as it grows."""

from __future__ import annotations

import os

from orlop import json_text
from orlop.engine import monitor_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from orlop.engine.container import Container

_CHUNK = 1 << 16


class Entry:
    """One record of the log: a line, or a part of a long one."""

    __slots__ = ("stream", "text", "time")

    def __init__(self, record: dict[str, Any]) -> None:
        self.text: str = record.get("log", "")
        self.stream: str = record.get("stream", "stdout")
        self.time: str = record.get("time", "")


def read(target: Container, *, tail: int | None = None, follow: bool = False) -> Iterator[Entry]:
    """The entries of a container's log, oldest first; the last ``tail`` ones only if that is given.

    With ``follow`` it goes on until the container has ended or was removed.
    """
    from orlop.linux import inotify

    watch = inotify.Watch(target.directory) if follow else None
    try:
        files = _files(target)
        if tail is not None:
            files, offset = _last(files, tail)
        else:
            offset = 0
        descriptor = -1
        for path in files:
            if descriptor >= 0:
                os.close(descriptor)
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                descriptor = -1
                continue
            os.lseek(descriptor, offset, os.SEEK_SET)
            offset = 0
            if path != target.log or watch is None:
                yield from _entries(descriptor, bytearray())
        if watch is not None:
            yield from _follow(target, descriptor, watch)
        elif descriptor >= 0:
            os.close(descriptor)
    finally:
        if watch is not None:
            watch.close()


def _files(target: Container) -> list[str]:
    """The log's files that exist, oldest first, the newest always among them."""
    found = [target.log]
    number = 1
    while os.path.exists(f"{target.log}.{number}"):
        found.insert(0, f"{target.log}.{number}")
        number += 1
    return found


def _last(files: list[str], count: int) -> tuple[list[str], int]:
    """Where the last ``count`` records begin: the files from there on, and the offset in the first of them."""
    for place in range(len(files) - 1, -1, -1):
        try:
            with open(files[place], "rb") as file:
                size = file.seek(0, os.SEEK_END)
                if count == 0:
                    return files[place:], size
                position = size
                while position > 0:
                    step = min(_CHUNK, position)
                    position -= step
                    file.seek(position)
                    data = file.read(step)
                    end = len(data)
                    if position + step == size and data.endswith(b"\n"):
                        end -= 1  # the last record's own end
                    while (found := data.rfind(b"\n", 0, end)) >= 0:
                        count -= 1
                        end = found
                        if count == 0:
                            return files[place:], position + found + 1
                if size:
                    count -= 1  # the file's first record has no newline before it
                    if count == 0:
                        return files[place:], 0
        except FileNotFoundError:
            continue
    return files, 0


def _entries(descriptor: int, rest: bytearray) -> Iterator[Entry]:
    """What can be read now; an unfinished line stays in ``rest``."""
    while data := os.read(descriptor, _CHUNK):
        rest += data
        *lines, last = bytes(rest).split(b"\n")
        rest[:] = last
        for line in lines:
            try:
                yield Entry(json_text.loads(line))
            except ValueError:
                continue  # a line that a full disk cut short


def _follow(target: Container, descriptor: int, watch: Any) -> Iterator[Entry]:
    rest = bytearray()
    try:
        while True:
            # Asked before reading: what was written before the monitor went is read in this round.
            ended = _has_ended(target)
            if descriptor >= 0:
                yield from _entries(descriptor, rest)
            newer = _newer(target.log, descriptor)
            if newer >= 0:
                if descriptor >= 0:
                    yield from _entries(descriptor, rest)
                    os.close(descriptor)
                descriptor = newer
                rest = bytearray()
                continue
            if ended:
                return
            watch.wait(1.0)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _has_ended(target: Container) -> bool:
    """Whether nothing will be written any more: the end is recorded, or the container is removed or has no monitor."""
    return (
        not os.path.isdir(target.directory)
        or target.state()["Status"] == "exited"
        or not monitor_lock.is_held(target.location, target.id)
    )


def _newer(path: str, descriptor: int) -> int:
    """The log's newest file, if it is another one than ``descriptor``; -1 if not."""
    try:
        found = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
    if descriptor >= 0 and os.path.samestat(os.fstat(found), os.fstat(descriptor)):
        os.close(found)
        return -1
    return found
