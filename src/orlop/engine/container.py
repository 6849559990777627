"""A container's directory and what is written in it.

``<root>/containers/<id>/`` is prepared as ``.new-<id>``, published by one rename, and removed by first
renaming it to ``.gone-<id>``. Whoever prepares, starts or removes a container holds flock on the directory.

``container.json``
    what was asked for; written once
``state.json``
    what became of it; written by the monitor, replaced by rename. Without it the container was made and
    never started
``config.json``, ``hostname``, ``hosts``, ``resolv.conf``, ``rootfs``
    the OCI bundle
``json.log``
    the program's output
``keep``
    there while one with ``--rm`` is restarted, which takes none away

What belongs to a container and lies elsewhere is named in its record: its snapshot, whose key is the container's id,
and its volumes.
"""

from __future__ import annotations

import os

from orlop import clock, json_text
from orlop.engine import monitor_lock
from orlop.errors import NotFound, OrlopError
from orlop.storage.directory_lock import begin, lock, lock_abandoned

__all__ = [
    "begin",
    "lock",
    "lock_abandoned",
]  # beside what is defined here: a container's right is the lock on its directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location

RECORD_FILE = "container.json"
STATE_FILE = "state.json"
#: There while a container with ``--rm`` is stopped to be started again, and is not to be removed between.
KEEP_FILE = "keep"
LOG_FILE = "json.log"
NEW = ".new-"
GONE = ".gone-"
PART = ".part-"
#: How the ids begin of the containers that steps of builds run in, which have no directory among ours.
STEP = "build-"

#: Characters of a container's id, which are hexadecimal digits.
ID_LENGTH = 64

#: What is written of a container that has a monitor.
LIVES = ("running", "restarting")

#: Bytes that are read at once: most records are smaller.
_CHUNK = 8192

#: Exit code of a container whose end nobody saw.
UNKNOWN_EXIT = 255


def new_state(status: str = "created") -> dict[str, Any]:
    """The ``State`` of Docker's API, before anything happened."""
    return {
        "Status": status,
        "Running": False,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 0,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": clock.NEVER,
        "FinishedAt": clock.NEVER,
    }


class Container:
    """One published container; its record and state are read when asked for."""

    __slots__ = ("_record", "directory", "id", "location")

    def __init__(self, location: Location, container_id: str, record: dict[str, Any] | None = None) -> None:
        self.location = location
        self.id = container_id
        self.directory = f"{location.containers}/{container_id}"
        self._record = record

    @property
    def record(self) -> dict[str, Any]:
        """What was asked for.

        Raises:
            NotFound: it was removed meanwhile.
        """
        if self._record is None:
            self._record = read(f"{self.directory}/{RECORD_FILE}")
            if self._record is None:
                raise NotFound(f"no such container: {self.id[:12]}")
        return self._record

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.record["Name"])

    @property
    def log(self) -> str:
        """The path of the newest log file."""
        return f"{self.directory}/{LOG_FILE}"

    @property
    def unwritten_end(self) -> str:
        """Where its monitor writes the last state for which the engine's disk had no space."""
        return f"{self.location.running}/{self.id}.json"

    def state(self) -> dict[str, Any]:
        """What became of it, as last written."""
        return read(f"{self.directory}/{STATE_FILE}") or new_state()

    def last_written(self) -> int:
        """When a start or an end was last written down, in nanoseconds; 0 if never."""
        try:
            return os.stat(f"{self.directory}/{STATE_FILE}").st_mtime_ns
        except FileNotFoundError:
            return 0

    def write_state(self, state: dict[str, Any]) -> None:
        """Replace ``state.json``; only the holder of the monitor's lock may."""
        write(f"{self.directory}/{STATE_FILE}", state)

    def has_monitor(self) -> bool:
        """Whether a monitor looks after it now."""
        return monitor_lock.is_held(self.location, self.id)


def read(path: str) -> dict[str, Any] | None:
    """A JSON file's object; None if there is no such file.

    Raises:
        OrlopError: it is damaged.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_CLOEXEC
        )  # lists do this thousands of times: half the calls of open()
    except FileNotFoundError:
        return None
    try:
        text = chunk = os.read(descriptor, _CHUNK)
        while len(chunk) == _CHUNK:
            chunk = os.read(descriptor, _CHUNK)
            text += chunk
    finally:
        os.close(descriptor)
    try:
        value = json_text.loads(text)
    except ValueError as error:
        raise OrlopError(f"the record {path} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise OrlopError(f"the record {path} is damaged: it is no JSON object")
    return value


def write(path: str, value: dict[str, Any]) -> None:
    """Replace a JSON file by rename, so that a reader sees the old one or the new one."""
    aside = _aside(path)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_all(descriptor, json_text.dumps(value).encode())
        finally:
            os.close(descriptor)
        os.rename(aside, path)
    except OSError:
        os.unlink(aside)
        raise


def _aside(path: str) -> str:
    """Where a file is written before it gets its name: a published container's where `repair` looks anyway."""
    directory, _, name = path.rpartition("/")
    containers, _, container_id = directory.rpartition("/")
    if len(container_id) == ID_LENGTH:
        return f"{containers}/{PART}{container_id}-{name}.{os.getpid()}"
    return f"{path}.{os.getpid()}"


def discard_unwritten(directory: str, entry: str) -> None:
    """Remove what `write` left whose process was killed."""
    if not os.path.exists(f"/proc/{entry.rpartition('.')[2]}"):
        try:
            os.unlink(f"{directory}/{entry}")
        except FileNotFoundError:
            return  # somebody else was quicker


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, however many calls it takes."""
    while data:
        data = data[os.write(descriptor, data) :]


def every_id(location: Location) -> list[str]:
    """The ids of all published containers."""
    try:
        return [name for name in os.listdir(location.containers) if name[0] != "."]
    except FileNotFoundError:
        return []


def find(location: Location, wanted: str) -> Container:
    """The container that a user means: by id, by name, or by the beginning of its id.

    Raises:
        NotFound: there is none.
        OrlopError: the beginning of an id fits more than one.
    """
    if wanted and "/" not in wanted and wanted[0] != ".":
        if len(wanted) == 64 and os.path.isdir(f"{location.containers}/{wanted}"):
            return Container(location, wanted)
        from orlop.engine import names

        holder = names.holder_of(location.names, wanted)
        if holder and os.path.isdir(f"{location.containers}/{holder}"):
            return Container(location, holder)
        fitting = [each for each in every_id(location) if each.startswith(wanted)]
        if len(fitting) == 1:
            return Container(location, fitting[0])
        if fitting:
            raise OrlopError(f"multiple IDs found with provided prefix: {wanted}")
    raise NotFound(f"no such container: {wanted}")
