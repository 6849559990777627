"""Where `orlop-runtime` says what went wrong: lines in the two forms that engines parse.

containerd and podman read the JSON form from the file that ``--log`` names, take ``msg`` of the last line
whose level is ``error``, and lose it if ``time`` is not RFC 3339. The text form is logrus's, since podman and
people's eyes know it from runc.
"""

from __future__ import annotations

import os
import time

from orlop import json_text
from orlop.errors import InvalidArgument

_FORMATS = ("text", "json")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._/@^+")
_STDERR = 2


class Log:
    """The log of one call.

    ``path`` is the file to add lines to, or empty for standard error. ``debug`` shows warnings as they come
    and lets debugging lines through.
    """

    __slots__ = ("_descriptor", "_json", "_warnings", "debugging")

    def __init__(self, path: str = "", form: str = "text", *, debugging: bool = False) -> None:
        """Open the log.

        Raises:
            InvalidArgument: an unknown form, or a file that cannot be written.
        """
        if form not in _FORMATS:
            raise InvalidArgument(f"invalid log-format: {form} (must be text or json)")
        self._json = form == "json"
        self._warnings: list[str] = []
        self.debugging = debugging
        self._descriptor = _STDERR
        if path:
            try:
                self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise InvalidArgument(f"open {path}: {(error.strerror or '').lower()}") from None

    def failure(self, message: str) -> None:
        """Log the reason of a failure. With a log file, the bare message also goes to standard error."""
        self._line("error", message)
        if self._descriptor != _STDERR:
            _write(_STDERR, message)

    def warning(self, message: str) -> None:
        """Note something that did not stop the command.

        In a log file it is shown by `close`, and at once when debugging: after a failure it is left out, because podman parses
        the file as one JSON object.
        """
        if self.debugging or self._descriptor == _STDERR:
            self._line("warning", message)
        else:
            self._warnings.append(message)

    def detail(self, message: str) -> None:
        """Log a detail, if ``--debug`` was given."""
        if self.debugging:
            self._line("debug", message)

    def close(self) -> None:
        """Log the warnings of a command that succeeded, and let go of the log file."""
        if self._descriptor != _STDERR:
            for message in self._warnings:
                self._line("warning", message)
            os.close(self._descriptor)
            self._descriptor = _STDERR
        self._warnings = []

    def _line(self, level: str, message: str) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self._json:
            line = json_text.dumps({"level": level, "msg": message, "time": moment})
        else:
            quoted = message if message and _PLAIN.issuperset(message) else json_text.dumps(message)
            line = f'time="{moment}" level={level} msg={quoted}'
        _write(self._descriptor, line)


def _write(descriptor: int, line: str) -> None:
    try:
        os.write(descriptor, line.encode("utf-8", "replace") + b"\n")
    except OSError:
        if descriptor != _STDERR:
            _write(_STDERR, line)  # a full disk must not swallow the reason
