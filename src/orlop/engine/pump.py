"""Moving bytes between a container's standard streams, its log and its clients: one poll loop."""

from __future__ import annotations

import os
import select

from orlop.engine import birth, frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from orlop.engine.client_line import Line
    from orlop.engine.clients import Clients

    class Log(Protocol):
        """Where output is recorded."""

        @property
        def descriptor(self) -> int:
            """What poll finds writable when there is room again, while something waits."""

        @property
        def waits(self) -> bool:
            """Whether something is to be written by ``flush`` when there is room."""

        @property
        def is_behind(self) -> bool:
            """Whether it can take no more for now."""

        def flush(self) -> None:
            """Go on with what waits."""

        def write(self, stream: str, data: bytes) -> None:
            """Record output of ``stdout`` or ``stderr`` as it comes."""

        def close(self) -> None:
            """Record what is left, and end."""

    class Errand(Protocol):
        """Something that a monitor has to do now and then, beside moving bytes."""

        def register(self, poll: select.poll) -> float | None:
            """Have ``poll`` tell of what it waits for; milliseconds until its next time, or None."""

        def look(self, descriptors: set[int]) -> None:
            """Do what is due; ``descriptors`` are those that poll found ready."""

        def close(self) -> None:
            """Be done with it: the container's program has ended."""

    class Start(Protocol):
        """Whoever starts the container's program, in a process of its own that then ends."""

        @property
        def descriptor(self) -> int:
            """What poll finds hung up when that process has ended."""

        def wait_done(self) -> int:
            """How it went, one of the words of `orlop.engine.birth`."""


_CHUNK = frames.LARGEST
#: Milliseconds after which to look whether a terminal that everybody closed was opened again.
_HUNG_UP_PAUSE = 100
#: A user who passes one of these on wants the container to stop.
_STOPPING = (2, 3, 15)  # SIGINT, SIGQUIT, SIGTERM
_KILL = 9
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Pump:
    """The streams of one container.

    ``ends`` are our descriptors: ``stdin`` (if it is open), ``stdout`` and ``stderr``, or ``console``. ``once`` says that
    the container's input ends with that of a client who is attached to it. ``start`` is who starts the program: if that
    is killed before it said how it went, its client hears of it here.
    """

    __slots__ = (
        "_clients",
        "_console",
        "_ending",
        "_hung_up",
        "_input",
        "_log",
        "_once",
        "_outputs",
        "_pid",
        "_start",
        "_typed",
        "born",
        "errands",
        "leash",
        "outcome",
    )

    def __init__(
        self,
        clients: Clients,
        log: Log,
        ends: dict[str, int],
        pid: int,
        *,
        once: bool = True,
        start: Start | None = None,
    ) -> None:
        self._start = start
        #: How the start went, one of the words of `orlop.engine.birth`.
        self.outcome = birth.STARTED
        self._clients = clients
        self._log = log
        self._pid = pid
        self._once = once
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
        self.errands: list[Errand] = []
        #: What the monitor was told of the container.
        self.born: birth.Born | None = None
        #: The client with whom the container ends.
        self.leash: Line | None = None

    def run(self, pidfd: int) -> None:
        """Move bytes until the process that ``pidfd`` names has ended."""
        while True:
            if self.leash is not None and not self.leash.open:
                self.leash = None
                self._clients.halted = True
                self._signal(_KILL)
            self._clients.sweep()
            if self._once and self._clients.left & frames.TO_STDIN:
                self._ending = True
                self._end_input()
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if self._start is not None:
                poll.register(self._start.descriptor, 0)  # its end is told in any case
            listening = not (self._clients.is_held or self._log.is_behind or self._hung_up)
            if listening:
                for descriptor in self._outputs:
                    poll.register(descriptor, select.POLLIN)
            if self._log.waits:
                poll.register(self._log.descriptor, select.POLLOUT)
            self._clients.register(poll, typing=not self._typed)
            if self._typed:
                wanted = select.POLLOUT | (select.POLLIN if listening and self._input in self._outputs else 0)
                poll.register(self._input, wanted)
            pause: float | None = _HUNG_UP_PAUSE if self._hung_up else None
            for errand in self.errands:
                due = errand.register(poll)
                if due is not None:
                    pause = due if pause is None else min(due, pause)
            events = poll.poll(pause)
            self._hung_up = False
            for descriptor, happened in events:
                if descriptor == pidfd:
                    return
                self._heed(descriptor, happened)
            for errand in self.errands:
                errand.look({descriptor for descriptor, _ in events})

    def _heed(self, descriptor: int, happened: int) -> None:
        if descriptor in self._outputs or descriptor == self._input:
            if descriptor == self._input and happened & (select.POLLOUT | select.POLLERR):
                self._feed()
            if descriptor in self._outputs and happened & (select.POLLIN | _GONE):
                self._take(descriptor)
        elif (line := self._clients.find(descriptor)) is not None:
            self._serve(line, happened)
        elif self._start is not None and descriptor == self._start.descriptor:
            self.end_start()
        elif not self._clients.accept(descriptor) and descriptor == self._log.descriptor:
            self._log.flush()

    def end_start(self) -> None:
        """Wait for the end of who starts the program, and say what it could not say itself."""
        if self._start is not None:
            self.outcome = self._start.wait_done()
            self._start = None
            if self.outcome == birth.KILLED_AFTER:
                self._clients.tell_first(frames.STARTED)
            elif self.outcome == birth.KILLED:
                self._signal(_KILL)  # whether it was to run, nobody knows
                self._clients.tell_first(frames.FAILED, birth.BROKEN_OFF)

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
        self._clients.output(kind, data)
        return True

    def _serve(self, line: Line, happened: int) -> None:
        if happened & select.POLLOUT:
            line.flush()
        if line.open and happened & (select.POLLIN | _GONE):
            for kind, body in line.receive():
                self._answer(line, kind, body)
        self._end_input()

    def _answer(self, line: Line, kind: bytes, body: bytes) -> None:
        """Do what a client asks for."""
        if kind == frames.STDIN and self._input >= 0:
            self._typed += body
            self._feed()
        elif kind == frames.STDIN_END:
            self._ending = self._ending or self._once
        elif kind == frames.SIGNAL and body:
            self._clients.halted = self._clients.halted or body[0] in _STOPPING
            self._signal(body[0])
        elif kind == frames.PORTS:
            from orlop.engine import port_keeper

            port_keeper.answer(self, line)
        elif kind == frames.NAMES:
            from orlop.engine import name_keeper

            name_keeper.answer(self, line)
        elif kind == frames.SIZE and self._console >= 0:
            from orlop.linux import terminal

            terminal.set_size(self._console, *frames.read_size(body))
        else:
            self._clients.answer(line, kind, body)

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
