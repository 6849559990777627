"""Docker's ``local`` log: a compact binary format, in files that are compressed when they are full.

Each record is a message of protocol buffers between two copies of its size (four bytes, big endian), so that it can be
read from either end: ``source`` (1), ``time_nano`` (2), ``line`` (3), without its newline, and for parts of long lines
``partial`` (4) and ``partial_log_metadata`` (5), a message of ``last`` (1), ``id`` (2) and ``ordinal`` (3).
"""

from __future__ import annotations

import os
import time

from orlop.engine.log_lines import Lines
from orlop.engine.log_rotation import Files, open_newest
from orlop.options import boolean, natural, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_SIZE = 20 << 20
DEFAULT_FILES = 5

_SOURCE = b"\x0a"  # field 1, a string
_TIME = b"\x10"  # field 2, a number
_LINE = b"\x1a"  # field 3, bytes
_PARTIAL = b"\x20\x01"  # field 4, true
_PART = b"\x2a"  # field 5, a message
_LAST = b"\x08\x01"  # its field 1, true
_ID = b"\x12"  # its field 2, a string
_ORDINAL = b"\x18"  # its field 3, a number
_LARGEST = 1 << 20


class LocalLog:
    """The writer: one per container, in its monitor. ``path`` is the newest file's."""

    __slots__ = ("_files", "_lines", "_parts")

    def __init__(self, path: str, options: Mapping[str, str]) -> None:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        self._lines = Lines()
        #: Of lines that were begun, by stream: their id, and the next part's number.
        self._parts: dict[str, tuple[bytes, int]] = {}
        self._files = Files(
            open_newest(path),
            path,
            limit=size(options["max-size"]) if "max-size" in options else DEFAULT_SIZE,
            most=natural(options["max-file"]) if "max-file" in options else DEFAULT_FILES,
            compress=boolean(options.get("compress", "true")),
        )

    @property
    def descriptor(self) -> int:
        """There is nothing to wait for."""
        return -1

    @property
    def waits(self) -> bool:
        """Never: a file takes what it is given."""
        return False

    is_behind = waits

    def flush(self) -> None:
        """Nothing waits."""

    def write(self, stream: str, data: bytes) -> None:
        """Record output as it comes."""
        whole = self._lines.whole(stream, data)
        head = _head(stream)
        made = []
        if whole:
            first, *lines = whole[:-1].split(b"\n")
            made = [_record(head, first, self._part(stream, is_end=True)), *(_record(head, line) for line in lines)]
        elif self._lines.waits(stream):
            split = self._lines.split(stream)
            made = [_record(head, text, self._part(stream, is_end=is_end)) for text, is_end in split]
        if made:
            self._files.append(b"".join(made), _cut)

    def close(self) -> None:
        """Write the last, unfinished lines."""
        for stream, text in self._lines.rest():
            self._files.append(_record(_head(stream), text, self._part(stream, is_end=False)), _cut)
        self._files.close()

    def _part(self, stream: str, *, is_end: bool) -> bytes:
        """What a record says if it is a part of a line."""
        begun = self._parts.get(stream)
        if is_end and begun is None:
            return b""
        name, ordinal = begun or (os.urandom(32).hex().encode(), 1)
        if is_end:
            del self._parts[stream]
        else:
            self._parts[stream] = (name, ordinal + 1)
        about = (_LAST if is_end else b"") + _ID + _number(len(name)) + name + _ORDINAL + _number(ordinal)
        return _PARTIAL + _PART + _number(len(about)) + about


def _head(stream: str) -> bytes:
    return _SOURCE + _number(len(stream)) + stream.encode() + _TIME + _number(time.time_ns()) + _LINE


def _record(head: bytes, line: bytes, part: bytes = b"") -> bytes:
    message = head + _number(len(line)) + line + part
    length = len(message).to_bytes(4, "big")
    return length + message + length


def _number(value: int) -> bytes:
    """A varint of protocol buffers."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _cut(data: bytes, room: int) -> int:
    at = 0
    while at < len(data):
        end = at + int.from_bytes(data[at : at + 4], "big") + 8
        if room < 0:
            return end
        if end > room:
            break
        at = end
    return at


def records(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the whole records in ``data`` begin and end.

    Raises:
        ValueError: it is no such log.
    """
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length > _LARGEST:
            raise ValueError("a record of a local log cannot be so large")
        end = at + length + 8
        if end > len(data):
            return
        yield at, end
        at = end


def parse(message: bytes) -> tuple[str, int, bytes]:
    """A record's stream, its time in nanoseconds, and its text, with the newline that it stands for.

    Raises:
        ValueError: it is no such message.
    """
    stream, moment, line, is_end = "stdout", 0, b"", True
    at = 0
    while at < len(message):
        key = message[at : at + 1]
        value, at = _read_number(message, at + 1)
        if key == _TIME:
            moment = value
        elif key[0] & 7 == 2:
            content = message[at : at + value]
            at += value
            if key == _SOURCE:
                stream = content.decode("ascii", "replace")
            elif key == _LINE:
                line = content
            elif key == _PART:
                is_end = content.startswith(_LAST)
    return stream, moment, line + b"\n" if is_end else line


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number of a local log does not end")
