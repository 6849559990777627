"""A program: orlop's command line, or its launcher, with one process killed at one line of the source.

``killed_at.py SOURCE MARK PLACE launcher ROOT RUN_ROOT`` or ``… PLACE WORD…``. Whichever of the program's processes
(commands, starters, monitors, whatever is forked) is the first to come to the line kills itself there, having made the
file MARK. PLACE is ``engine/create.py:publish:os.rename``, the first line of that function with that text (its first of all
without one), and with a ``+`` at its end right after that line; or ``engine/create.py:123``; or ``record:``, which kills nobody and writes every line
that is reached to MARK.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

_PARTS = ("engine", "images", "storage", "runtime", "cli")


class Killer:
    """A trace function (sys.settrace) that kills its process at a line."""

    def __init__(self, package: str, mark: str, place: str) -> None:
        self._package = package
        self._mark = mark
        path, _, rest = place.partition(":")
        self._file = f"{package}/{path}"
        self._after = rest.endswith("+")
        self._function, _, text = rest.removesuffix("+").partition(":")
        self._lines: set[int] = set()
        self._is_near = False
        if self._function.isdigit():
            self._lines, self._function = {int(self._function)}, ""
        else:
            with open(self._file, encoding="utf-8") as source:
                self._lines = {number for number, line in enumerate(source, 1) if text in line}
            if not self._lines:
                raise SystemExit(f"{self._file} has no line with {text}")

    def trace(self, frame: FrameType, _event: str, _argument: object) -> Any:
        """Called for each function."""
        code = frame.f_code
        if code.co_filename != self._file or (self._function and code.co_name != self._function):
            return None
        return self._in_function

    def _in_function(self, frame: FrameType, event: str, _argument: object) -> Any:
        if self._is_near and event in ("line", "return", "exception"):
            self._die()
        if event == "line" and frame.f_lineno in self._lines:
            if self._after:
                self._is_near = True
            else:
                self._die()
        return self._in_function

    def _die(self) -> None:
        self._is_near = False
        try:
            os.close(os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError:
            return  # somebody else has died here, or this is in a container
        os.kill(os.getpid(), signal.SIGKILL)


class Recorder:
    """A trace function that writes down what lines are reached, by the names of the processes."""

    def __init__(self, package: str, mark: str) -> None:
        self._places = tuple(f"{package}/{part}/" for part in _PARTS)
        self._start = len(package) + 1
        self._file = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._path = mark
        self._seen: set[tuple[CodeType, int]] = set()

    def trace(self, frame: FrameType, _event: str, _argument: object) -> Any:
        """Called for each function."""
        return self._in_function if frame.f_code.co_filename.startswith(self._places) else None

    def _in_function(self, frame: FrameType, event: str, _argument: object) -> Any:
        key = (frame.f_code, frame.f_lineno)
        if event == "line" and key not in self._seen and os.getpid() != 1:
            self._seen.add(key)
            try:
                file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            except OSError:
                return self._in_function
            os.write(file, f"{frame.f_code.co_filename[self._start :]}:{frame.f_lineno}\n".encode())
            os.close(file)
        return self._in_function


def main() -> int:
    """Do what the arguments say; the command's exit status."""
    source, mark, place, *words = sys.argv[1:]
    sys.path.append(source)
    package = f"{source}/orlop"
    from orlop import cli
    from orlop.cli import warm

    trace = Recorder(package, mark).trace if place == "record:" else Killer(package, mark, place).trace
    if words[0] == "launcher":
        root, run_root = words[1:]
        os.setsid()
        sys.settrace(trace)
        return warm.main(root, run_root, -1, True)
    sys.settrace(trace)
    threading.settrace(trace)
    status = cli.main(words)
    sys.stdout.flush()
    return status


if __name__ == "__main__":
    os._exit(main())
