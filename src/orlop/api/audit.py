"""Who has asked for what: a line of JSON for each request that changes something, or for all.

Nothing of a request's body or headers is in it, and of its query only parameters that cannot hold secrets.
"""

from __future__ import annotations

import json
import os
import sys
import time

from orlop import clock
from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.api.exchange import Request

_READING = ("GET", "HEAD")
#: What is read, and yet types into a container.
_CHANGES_ALL_THE_SAME = "/containers/{id}/attach/ws"
_TOLD = ("all", "container", "force", "fromImage", "name", "repo", "signal", "t", "tag", "target", "v")
#: Characters of one text of the client's that a line has.
_LONGEST = 1024


class AuditLog:
    """The log in one file, to which lines are only ever added; with ``everything`` also for what only looks.

    Raises:
        OrlopError: the file cannot be opened.
    """

    __slots__ = ("_descriptor", "_everything", "_is_failing", "_path")

    def __init__(self, path: str, *, everything: bool = False) -> None:
        self._path = path
        self._everything = everything
        self._is_failing = False
        self._descriptor = self._open()

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OrlopError(f"cannot open the audit log {self._path}: {error.strerror}") from None

    def reopen(self) -> None:
        """Go on in the file that has the name now, because somebody has given the old one another.

        Raises:
            OrlopError: it cannot be opened; the old one is gone on with.
        """
        descriptor = self._open()
        os.close(self._descriptor)
        self._descriptor = descriptor

    def write(self, request: Request, status: int, seconds: float) -> None:
        """Add a line for a request, if there is to be one; with a ``status`` of 0 the client did not wait for the answer.

        What cannot be written is told on standard error, once until it can be again.
        """
        is_reading = request.method in _READING and request.endpoint != _CHANGES_ALL_THE_SAME
        if is_reading and not self._everything:
            return
        begun = clock.text(time.time_ns() - int(seconds * 1_000_000_000))
        said: dict[str, Any] = {
            "time": begun,
            **request.peer.describe(),
            "method": request.method[:_LONGEST],
            "path": request.target.partition("?")[0][:_LONGEST],
        }
        query = {name: request.texts(name)[0][:_LONGEST] for name in _TOLD if request.texts(name)}
        if query:
            said["query"] = query
        said.update(status=status or None, duration=round(seconds, 6))
        data = (
            json.dumps(said).encode() + b"\n"
        )  # ASCII, since a terminal on which it is read obeys some other characters
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                self._is_failing = True
                sys.stderr.write(f"orlop serve: cannot write the audit log {self._path}: {error.strerror}\n")

    def close(self) -> None:
        """Write no more."""
        os.close(self._descriptor)
