"""What happened to containers, images and volumes: lines appended to a file, which inotify announces.

``<root>/events/events.json`` has one JSON object a line, in the words of Docker's API (``EventMessage``)::

    {"Type":"container","Action":"start","Actor":{"ID":"4f…","Attributes":{"image":"debian","name":"web"}},
     "scope":"local","time":1700000000,"timeNano":1700000000123456789}

Whoever does something appends a line for it, by one write, which the kernel keeps whole among those of others
(O_APPEND, open(2)). When the file is full it becomes ``events.json.1`` and the one before it goes, so that events
fill no disk. Nobody has to be there to take an event, and what happened before a reboot can still be read.

An event that cannot be written down, as on a full disk, is lost: what it tells of has happened all the same.
"""

from __future__ import annotations

import fcntl
import os
import time

from orlop import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.linux.inotify import Watch
    from orlop.linux.shared_inotify import SharedWatch

CONTAINER = "container"
IMAGE = "image"
VOLUME = "volume"
NETWORK = "network"

_FILE = "events.json"
_OLDER = "events.json.1"

#: Some 10,000 events.
_LARGEST = 4 << 20

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_SECOND = 1_000_000_000


def directory(location: Location) -> str:
    """Where an engine's events are."""
    return f"{location.root}/events"


def emit(location: Location, kind: str, action: str, actor: str, attributes: Mapping[str, str]) -> None:
    """Tell that ``action`` (``start``, ``pull``, …) happened to an object of a ``kind``: `CONTAINER`, `IMAGE`, ….

    ``actor`` is the object's id or name. This never fails.
    """
    now = time.time_ns()
    line = json_text.dumps(
        {
            "Type": kind,
            "Action": action,
            "Actor": {"ID": actor, "Attributes": attributes},
            "scope": "local",
            "time": now // _SECOND,
            "timeNano": now,
        }
    ).encode("utf-8", "replace")
    try:
        _append(directory(location), line + b"\n")
    except OSError:
        return  # a full disk, say: nothing that happened is undone by nobody hearing of it


def of_container(target: Container, action: str, more: Mapping[str, str] | None = None) -> None:
    """Tell that something happened to a container, with what Docker tells of it and ``more``.

    Raises:
        NotFound: it was removed meanwhile; whoever is going to remove it takes its `attributes` first.
    """
    about = attributes(target.record)
    if more:
        about.update(more)
    emit(target.location, CONTAINER, action, target.id, about)


def attributes(record: Mapping[str, Any]) -> dict[str, str]:
    """What every event of a container tells of it: its labels, image and name."""
    config = record["Config"]
    return {**(config.get("Labels") or {}), "image": config["Image"], "name": record["Name"]}


def volumes(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """What events tell of each volume that a container of this record mounts, its ``name`` beside."""
    return [
        {
            "name": each["Name"],
            "destination": each["Destination"],
            "driver": each.get("Driver") or "local",
            "propagation": each.get("Propagation") or "",
            "read/write": "true" if each.get("RW", True) else "false",
        }
        for each in record.get("Mounts") or ()
        if each["Type"] == VOLUME
    ]


def of_volumes(location: Location, action: str, container_id: str, mounted: Iterable[Mapping[str, str]]) -> None:
    """Tell that volumes were mounted in a container (``mount``), or are not any more (``unmount``); see `volumes`."""
    for each in mounted:
        about = {"container": container_id, **each}
        if action == "unmount":
            about = {key: value for key, value in about.items() if key in ("container", "driver", "name")}
        emit(location, VOLUME, action, about.pop("name"), about)


def _append(place: str, line: bytes) -> None:
    path = f"{place}/{_FILE}"
    try:
        descriptor = os.open(path, _APPEND, 0o600)
    except FileNotFoundError:
        _make(place)
        descriptor = os.open(path, _APPEND, 0o600)
    try:
        if os.write(descriptor, line) < len(line):
            os.write(descriptor, b"\n")  # so that the next event has a line of its own
        if os.lseek(descriptor, 0, os.SEEK_CUR) > _LARGEST:
            _rotate(place, descriptor)
    finally:
        os.close(descriptor)


def _make(place: str) -> None:
    try:
        os.mkdir(place, 0o700)
    except FileExistsError:
        return


def _rotate(place: str, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # somebody else is at it
    if os.stat(f"{place}/{_FILE}").st_ino == os.fstat(descriptor).st_ino:
        os.rename(f"{place}/{_FILE}", f"{place}/{_OLDER}")


def read(location: Location, since: int = 0, until: int | None = None) -> list[dict[str, Any]]:
    """The events of a time, in order; ``since`` and ``until`` are nanoseconds since 1970.

    Raises:
        OSError: they cannot be read.
    """
    stream = Stream(location, watch=False)
    try:
        return [
            each for each in stream.read() if since <= each["timeNano"] and (until is None or each["timeNano"] <= until)
        ]
    finally:
        stream.close()


def follow(location: Location, since: int | None = None, until: int | None = None) -> Iterator[dict[str, Any]]:
    """Each event as it happens; with ``since`` those from then on first, with ``until`` to that time.

    Raises:
        OSError: they cannot be read.
    """
    begin = time.time_ns() if since is None else since
    stream = Stream(location)
    try:
        while True:
            now = time.time_ns()
            for each in stream.read():
                if begin <= each["timeNano"] and (until is None or each["timeNano"] <= until):
                    yield each
            if until is not None and now >= until:
                return
            stream.wait(None if until is None else (until - time.time_ns()) / _SECOND)
    finally:
        stream.close()


class Stream:
    """A reader of the events, from the oldest that is there: `read` what is new, `wait` for more.

    ``watch`` is whether, or how, changes of a directory are watched.

    Raises:
        OSError: there is no place for events, and none can be made.
    """

    __slots__ = ("_files", "_place", "_watch")

    def __init__(self, location: Location, *, watch: bool | Callable[[str], Watch | SharedWatch] = True) -> None:
        self._place = directory(location)
        self._files: list[_File] = []
        self._watch: Watch | SharedWatch | None = None
        if watch:
            from orlop.linux.inotify import Watch

            if not os.path.isdir(self._place):
                location.prepare()
                _make(self._place)
            self._watch = (Watch if watch is True else watch)(
                self._place
            )  # before the first look, so that nothing happens between

    @property
    def descriptor(self) -> int:
        """What poll(2) finds readable when there may be something new."""
        return self._watch.descriptor if self._watch is not None else -1

    def read(self) -> list[dict[str, Any]]:
        """The events since the last time, in order."""
        self._look()
        found = [each for file in self._files for each in file.read()]
        found.sort(key=_when)
        # A file that was replaced stays open for one turn more: somebody may have had it open to write to it.
        for file in self._files[:-2]:
            file.close()
        del self._files[:-2]
        return found

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, at most ``timeout`` seconds, until there may be something new; False if that time is over."""
        if self._watch is None:
            return False
        if timeout is None:
            while not self._watch.wait(3600):
                pass
            return True
        return self._watch.wait(max(timeout, 0))

    def close(self) -> None:
        """Stop."""
        for file in self._files:
            file.close()
        self._files = []
        if self._watch is not None:
            self._watch.close()

    def _look(self) -> None:
        """Open what is not open yet."""
        known = {file.identity for file in self._files}
        new = []
        # In this order: one file may be put in the other's place between the two.
        for name in (_FILE, _OLDER):
            try:
                descriptor = os.open(f"{self._place}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            file = _File(descriptor)
            if file.identity in known:
                file.close()
            else:
                known.add(file.identity)
                new.append(file)
        self._files += reversed(new)


class _File:
    """One file of events, and the end of a line that is not whole yet."""

    __slots__ = ("_descriptor", "_rest", "identity")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        #: An open file's number is nobody else's.
        self.identity = os.fstat(descriptor).st_ino

    def read(self) -> list[dict[str, Any]]:
        data = [self._rest]
        while chunk := os.read(self._descriptor, 1 << 20):
            data.append(chunk)
        *lines, self._rest = b"".join(data).split(b"\n")
        return [each for each in map(_parse, lines) if each is not None]

    def close(self) -> None:
        os.close(self._descriptor)


def _parse(line: bytes) -> dict[str, Any] | None:
    """An event; None for what a full disk or a power failure made of one."""
    try:
        event = json_text.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("timeNano"), int) else None


def _when(event: dict[str, Any]) -> int:
    return int(event["timeNano"])
