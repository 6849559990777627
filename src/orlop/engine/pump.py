"""Moving bytes between a container's standard streams, its log and its client: one poll loop."""

from __future__ import annotations

import os
import select

from orlop.engine import frames
from orlop.linux import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from orlop.engine.client_line import Line

    class Log(Protocol):
        """Where output is recorded."""

        def write(self, stream: str, data: bytes) -> None:
            """Record output of ``stdout`` or ``stderr`` as it comes."""

        def close(self) -> None:
            """Record what is left, and end."""


_CHUNK = frames.LARGEST
#: Milliseconds after which to look whether a terminal that everybody closed was opened again.
_HUNG_UP_PAUSE = 100
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Pump:
    """The streams of one container.

    ``ends`` are our descriptors: ``stdin`` (if it is open), ``stdout`` and ``stderr``, or ``console``.
    """

    __slots__ = ("_console", "_ending", "_hung_up", "_input", "_line", "_log", "_outputs", "_pid", "_typed")

    def __init__(self, line: Line, log: Log, ends: dict[str, int], pid: int) -> None:
        self._line = line
        self._log = log
        self._pid = pid
        self._console = ends.get("console", -1)
        self._input = ends.get("stdin", self._console)
        self._typed = b""  # input that the container has not taken yet
        self._ending = False  # the client has closed its input
        self._hung_up = False  # nobody has the terminal open just now
        #: descriptor → the frame's kind and the log's word for the stream
        self._outputs: dict[int, tuple[bytes, str]] = {}
        for name, kind in (("stdout", frames.STDOUT), ("stderr", frames.STDERR), ("console", frames.STDOUT)):
            if name in ends:
                self._outputs[ends[name]] = (kind, "stderr" if name == "stderr" else "stdout")
        for descriptor in {*self._outputs, self._input} - {-1}:
            os.set_blocking(descriptor, False)

    def run(self, pidfd: int) -> None:
        """Move bytes until the process that ``pidfd`` names has ended."""
        while True:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            listening = not self._line.is_behind and not self._hung_up
            if listening:
                for descriptor in self._outputs:
                    poll.register(descriptor, select.POLLIN)
            if self._line.open:
                wanted = 0 if self._typed else select.POLLIN
                poll.register(self._line.descriptor, wanted | (select.POLLOUT if self._line.is_behind else 0))
            if self._typed:
                wanted = select.POLLOUT | (select.POLLIN if listening and self._input in self._outputs else 0)
                poll.register(self._input, wanted)
            client = self._line.descriptor if self._line.open else -1
            events = poll.poll(_HUNG_UP_PAUSE if self._hung_up else None)
            self._hung_up = False
            for descriptor, happened in events:
                if descriptor == pidfd:
                    return
                if descriptor == client:
                    self._serve(happened)
                elif descriptor == self._input and happened & (select.POLLOUT | select.POLLERR):
                    self._feed()
                if descriptor in self._outputs and happened & (select.POLLIN | _GONE):
                    self._take(descriptor)

    def drain(self) -> None:
        """Move what is left in the pipes of a container that has ended, and close everything."""
        for descriptor in list(self._outputs):
            while descriptor in self._outputs and self._take(descriptor):
                pass
        for descriptor in {*self._outputs, self._input} - {-1}:
            os.close(descriptor)
        self._outputs = {}
        self._input = -1
        self._log.close()

    def _take(self, descriptor: int) -> bool:
        """Read once; False if there is nothing more for now."""
        kind, stream = self._outputs[descriptor]
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # EIO: nobody has the terminal open any more
        if not data:
            if descriptor == self._console:
                self._hung_up = True
            else:
                del self._outputs[descriptor]
                os.close(descriptor)
            return False
        self._log.write(stream, data)
        self._line.send(kind, data)
        return True

    def _serve(self, happened: int) -> None:
        if happened & select.POLLOUT:
            self._line.flush()
        if self._line.open and happened & (select.POLLIN | _GONE):
            for kind, body in self._line.receive():
                if kind == frames.STDIN and self._input >= 0:
                    self._typed += body
                    self._feed()
                elif kind == frames.STDIN_END:
                    self._ending = True
                elif kind == frames.SIGNAL and body:
                    self._signal(body[0])
                elif kind == frames.SIZE and self._console >= 0:
                    terminal.set_size(self._console, *frames.read_size(body))
        if not self._line.open:
            self._ending = True
        self._end_input()

    def _feed(self) -> None:
        try:
            self._typed = self._typed[os.write(self._input, self._typed) :]
        except BlockingIOError:
            return
        except OSError:  # EPIPE: the program does not read any more
            self._typed = b""
            self._ending = True
        self._end_input()

    def _end_input(self) -> None:
        if self._ending and not self._typed and self._input >= 0 and self._input != self._console:
            os.close(self._input)
            self._input = -1

    def _signal(self, number: int) -> None:
        try:
            os.kill(self._pid, number)  # ours and not waited for yet, so the number cannot mean another
        except (OSError, ValueError):
            return  # it has just ended, or there is no such signal
