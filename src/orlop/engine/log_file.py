r"""Docker's json-file log: one JSON object per line of output, in files of a limited size.

``{"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.678901234Z"}``, with ``"attrs"`` before the time where
the log's options ask for labels, variables or a tag. The same characters are escaped in the same way.
"""

from __future__ import annotations

import os

from orlop import clock
from orlop.engine.log_lines import LONGEST, Lines
from orlop.engine.log_rotation import Files, open_newest

__all__ = ["DEFAULT_FILES", "DEFAULT_SIZE", "LONGEST", "LogFile", "open_log"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_SIZE = 10 << 20
DEFAULT_FILES = 3

open_log = open_newest

#: What remains of a text without these are its control characters.
_NO_CONTROLS = bytes(each for each in range(256) if each >= 32 or each in b"\n\t\r")
_ESCAPES = (
    (b"\\", b"\\\\"),
    (b'"', b'\\"'),
    (b"\t", b"\\u0009"),
    (b"\r", b"\\r"),
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
)
#: Line and paragraph separator, which are no part of any other character's encoding.
_SEPARATORS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))
_BEGINNING = b'{"log":"'
_NO_CHARACTER = "\\ufffd"


class LogFile:
    """The writer: one per container, in its monitor.

    ``descriptor`` is what `open_log` opened. ``about`` is asked, when there is something to write, for the file's
    path and the log's options, and for what every record says beside (a JSON object, or empty).
    """

    __slots__ = ("_about", "_attributes", "_descriptor", "_files", "_lines")

    def __init__(self, descriptor: int, about: Callable[[], tuple[str, Mapping[str, str], str]]) -> None:
        self._descriptor = descriptor
        self._about = about
        self._attributes = ""
        self._files: Files | None = None
        self._lines: Lines | None = None

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
        if self._lines is None:
            self._lines = Lines()
        lines = self._lines
        whole = lines.whole(stream, data)
        ending = self._ending(stream)
        if whole:
            end = b'\\n"' + ending
            self._append(_BEGINNING + _escaped(whole[:-1]).replace(b"\n", end + _BEGINNING) + end)
        elif lines.waits(stream):
            records = [_record(text, ending, is_end=is_end) for text, is_end in lines.split(stream)]
            self._append(b"".join(records))

    def close(self) -> None:
        """Write the last, unfinished lines."""
        for stream, text in self._lines.rest() if self._lines is not None else ():
            self._append(_record(text, self._ending(stream), is_end=False))
        if self._files is not None:
            self._files.close()
        else:
            os.close(self._descriptor)

    def _begin(self) -> Files:
        from orlop.options import boolean, natural, size

        path, options, attributes = self._about()
        self._attributes = f',"attrs":{attributes}' if attributes else ""
        self._files = Files(
            self._descriptor,
            path,
            limit=size(options["max-size"]) if "max-size" in options else DEFAULT_SIZE,
            most=natural(options["max-file"]) if "max-file" in options else DEFAULT_FILES,
            compress=boolean(options.get("compress", "false")),
        )
        return self._files

    def _ending(self, stream: str) -> bytes:
        if self._files is None:
            self._begin()
        return f',"stream":"{stream}"{self._attributes},"time":"{clock.now()}"}}\n'.encode()

    def _append(self, records: bytes) -> None:
        (self._files or self._begin()).append(records, _cut)


def _record(text: bytes, ending: bytes, *, is_end: bool) -> bytes:
    """A record of a line or a part of one."""
    return _BEGINNING + _escaped(text) + (b'\\n"' if is_end else b'"') + ending


def _escaped(text: bytes) -> bytes:
    """Lines as in JSON strings, but for the line ends. What is escaped is replaced one kind after the other, in C."""
    for character, escape in _ESCAPES:
        if character in text:
            text = text.replace(character, escape)
    for control in set(text.translate(None, _NO_CONTROLS)):
        text = text.replace(bytes((control,)), b"\\u%04x" % control)
    if text.isascii():
        return text
    try:
        text.decode()
    except UnicodeDecodeError:
        text = _decodable(text)
    for character, escape in _SEPARATORS:
        if character in text:
            text = text.replace(character, escape)
    return text


def _decodable(text: bytes) -> bytes:
    """Text with an escape in the place of each byte that is part of no character, as Go writes it."""
    decoded = text.decode("utf-8", "surrogateescape")
    for character in set(decoded):
        if "\udc80" <= character <= "\udcff":
            decoded = decoded.replace(character, _NO_CHARACTER)
    return decoded.encode()


def _cut(data: bytes, room: int) -> int:
    return data.find(b"\n") + 1 if room < 0 else data.rfind(b"\n", 0, room) + 1
