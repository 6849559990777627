r"""Docker's json-file log: one JSON object per line of output, in files of a limited size.

``{"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.678901234Z"}``. When the file would grow past
its limit it becomes ``json.log.1``, that one ``json.log.2``, and the oldest goes: no log fills a disk.
"""

from __future__ import annotations

import os
from _json import encode_basestring

from orlop.engine import clock
from orlop.options import natural, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: A line longer than this is written in several records, the last of which ends in a newline, as Docker does.
LONGEST = 16 << 10

DEFAULT_SIZE = 10 << 20
DEFAULT_FILES = 3


class LogFile:
    """The writer: one per container, in its monitor.

    ``descriptor`` is what `open_log` opened. ``about`` is asked, when there is something to write, for the file's
    path and the log's options.
    """

    __slots__ = ("_about", "_count", "_descriptor", "_files", "_limit", "_partial", "_path")

    def __init__(self, descriptor: int, about: Callable[[], tuple[str, Mapping[str, str]]]) -> None:
        self._descriptor = descriptor
        self._about = about
        self._path = ""
        self._count = 0
        self._limit = DEFAULT_SIZE
        self._files = DEFAULT_FILES
        self._partial: dict[str, bytes] = {}

    def _begin(self) -> None:
        self._path, options = self._about()
        self._count = os.fstat(self._descriptor).st_size
        self._limit = size(options["max-size"]) if "max-size" in options else DEFAULT_SIZE
        self._files = natural(options["max-file"]) if "max-file" in options else DEFAULT_FILES

    @property
    def descriptor(self) -> int:
        """There is nothing to wait for."""
        return -1

    @property
    def is_behind(self) -> bool:
        """Never: a file takes what it is given."""
        return False

    def flush(self) -> None:
        """Nothing waits."""

    def write(self, stream: str, data: bytes) -> None:
        """Record output as it comes; what is no whole line yet waits for its end, up to `LONGEST`."""
        data = self._partial.pop(stream, b"") + data
        lines = data.split(b"\n")
        rest = lines.pop()
        ending = f',"stream":"{stream}","time":"{clock.now()}"}}\n'
        records = []
        for line in lines:
            whole = len(line) // LONGEST * LONGEST
            records += [self._record(line[at : at + LONGEST], ending) for at in range(0, whole, LONGEST)]
            records.append(self._record(line[whole:] + b"\n", ending))
        while len(rest) >= LONGEST:
            records.append(self._record(rest[:LONGEST], ending))
            rest = rest[LONGEST:]
        if rest:
            self._partial[stream] = rest
        self._append("".join(records).encode("utf-8", "replace"))

    def close(self) -> None:
        """Write the last, unfinished lines."""
        for stream, rest in self._partial.items():
            self._append(
                self._record(rest, f',"stream":"{stream}","time":"{clock.now()}"}}\n').encode("utf-8", "replace")
            )
        self._partial = {}
        os.close(self._descriptor)

    @staticmethod
    def _record(text: bytes, ending: str) -> str:
        return '{"log":' + encode_basestring(text.decode("utf-8", "replace")) + ending

    def _append(self, data: bytes) -> None:
        if not self._path:
            self._begin()
        if self._count and self._count + len(data) > self._limit > 0:
            self._rotate()
        self._count += len(data)
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            # A full disk costs log lines, never the container: its program must not see its pipe close.
            return

    def _rotate(self) -> None:
        os.close(self._descriptor)
        for number in range(self._files - 1, 0, -1):
            older = self._path if number == 1 else f"{self._path}.{number - 1}"
            try:
                os.rename(older, f"{self._path}.{number}")
            except FileNotFoundError:
                continue
        if self._files <= 1:
            os.unlink(self._path)
        self._descriptor = open_log(self._path)
        self._count = 0


def open_log(path: str) -> int:
    """Open a log for writing at its end, making it if it is not there."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def check(options: Mapping[str, str]) -> None:
    """Whether the log options can be right.

    Raises:
        ValueError: an unknown option, or a value that cannot be read.
    """
    for key, value in options.items():
        if key == "max-size":
            size(value)
        elif key == "max-file":
            if natural(value) == 0:
                raise ValueError("max-file must be at least 1")
        else:
            raise ValueError(f"unknown log option {key}")
