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

#: What few texts have and takes more than replacing to write as JSON.
_CONTROLS = bytes(each for each in range(32) if each not in b"\n\t\r")
_SEPARATORS = b"\xe2\x80"  # U+2028 and U+2029, which Go escapes, begin with this, as do a few that it does not
_ESCAPES = (
    (b"\\", b"\\\\"),
    (b'"', b'\\"'),
    (b"\t", b"\\u0009"),
    (b"\r", b"\\r"),
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
)


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
            body = _escaped(whole[:-1])
            if body is None:
                text = whole[:-1].decode("utf-8", "surrogateescape")
                self._append("".join(_record(line + "\n", ending) for line in text.split("\n")).encode())
                return
            end = b'\\n"' + ending.encode()
            self._append(b'{"log":"' + body.replace(b"\n", end + b'{"log":"') + end)
        elif lines.waits(stream):
            records = [
                _record(text.decode("utf-8", "surrogateescape") + ("\n" if is_end else ""), ending)
                for text, is_end in lines.split(stream)
            ]
            self._append("".join(records).encode())

    def close(self) -> None:
        """Write the last, unfinished lines."""
        for stream, text in self._lines.rest() if self._lines is not None else ():
            self._append(_record(text.decode("utf-8", "surrogateescape"), self._ending(stream)).encode())
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

    def _ending(self, stream: str) -> str:
        if self._files is None:
            self._begin()
        return f',"stream":"{stream}"{self._attributes},"time":"{clock.now()}"}}\n'

    def _append(self, records: bytes) -> None:
        (self._files or self._begin()).append(records, _cut)


def _record(text: str, ending: str) -> str:
    """A record of text whose bytes that are no UTF-8 are surrogates."""
    table = {number: f"\\u{number:04x}" for number in (*range(32), ord("<"), ord(">"), ord("&"), 0x2028, 0x2029)}
    table.update({ord("\n"): "\\n", ord("\r"): "\\r", ord('"'): '\\"', ord("\\"): "\\\\"})
    table.update(dict.fromkeys(range(0xDC80, 0xDD00), "\\ufffd"))
    return f'{{"log":"{text.translate(table)}"{ending}'


def _escaped(text: bytes) -> bytes | None:
    """Lines as in JSON strings, by the fastest way there is; None if that is not enough."""
    if len(text.translate(None, _CONTROLS)) != len(text):
        return None
    if not text.isascii():
        if _SEPARATORS in text:
            return None
        try:
            text.decode()
        except UnicodeDecodeError:
            return None
    for character, escape in _ESCAPES:
        if character in text:
            text = text.replace(character, escape)
    return text


def _cut(data: bytes, room: int) -> int:
    return data.find(b"\n") + 1 if room < 0 else data.rfind(b"\n", 0, room) + 1
