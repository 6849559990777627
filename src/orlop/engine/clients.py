"""All who are connected to a monitor: the client that started the container, and those that came to its control socket."""

from __future__ import annotations

import _socket
import select
import time

from orlop.engine import frames
from orlop.engine.client_line import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Seconds that those who do not hold the container back have for reading the last of its output.
_LAST_PATIENCE = 2.0


class Clients:
    """The lines of a monitor, and the socket at which further clients come.

    ``halted`` says that a user wants the container to stop; ``policy`` is what a client said is to be done when it ends.
    ``left`` are the streams that those had who have gone while it ran, as in `frames.ATTACH`.
    """

    __slots__ = ("_listener", "halted", "left", "lines", "policy")

    def __init__(self, first: Line, listener: int = -1) -> None:
        self.lines = [first]
        self.halted = False
        self.left = 0
        self.policy: dict[str, Any] | None = None
        self._listener = listener

    @property
    def is_held(self) -> bool:
        """Whether somebody who wants all of the output has not taken it yet."""
        return any(line.holds and line.is_behind for line in self.lines)

    def register(self, poll: select.poll, *, typing: bool) -> None:
        """Have ``poll`` tell when there is something to do here; ``typing`` says that input may come."""
        if self._listener >= 0:
            poll.register(self._listener, select.POLLIN)
        for line in self.lines:
            wanted = select.POLLIN if typing or not line.attached else 0
            poll.register(line.descriptor, wanted | (select.POLLOUT if line.is_behind else 0))

    def find(self, descriptor: int) -> Line | None:
        """The line that a descriptor is of, if it is one."""
        for line in self.lines:
            if line.descriptor == descriptor:
                return line
        return None

    def accept(self, descriptor: int) -> bool:
        """Take in who waits at the control socket, if that is what ``descriptor`` is."""
        if descriptor != self._listener:
            return False
        while (line := _accepted(descriptor)) is not None:
            self.lines.append(line)
        return True

    def heed(self, descriptor: int, happened: int) -> None:
        """Do what there is to do while the container does not run, so that nobody is attached to anything."""
        line = self.find(descriptor)
        if line is None:
            self.accept(descriptor)
            return
        if happened & select.POLLOUT:
            line.flush()
        if line.open and happened & ~select.POLLOUT:
            for kind, body in line.receive():
                self.answer(line, kind, body)
        self.sweep()
        self.left = 0

    def answer(self, line: Line, kind: bytes, body: bytes) -> None:
        """Do what a client asks for that does not concern the container's streams."""
        if kind == frames.ATTACH and body:
            line.attached = body[0]
        elif kind == frames.HALT:
            self.halted = True
            line.send(kind, body)
        elif kind == frames.POLICY:
            from orlop import json_text

            try:
                self.policy = json_text.loads(body)
            except ValueError:
                line.close()
            else:
                line.send(kind, body)

    def output(self, kind: bytes, data: bytes) -> None:
        """Send output to everybody who is attached."""
        for line in self.lines:
            line.output(kind, data)
        self.sweep()

    def tell(self, kind: bytes, body: bytes = b"") -> None:
        """Send a frame to everybody."""
        for line in self.lines:
            line.send(kind, body)
        self.sweep()

    def tell_first(self, kind: bytes, body: bytes = b"") -> None:
        """Send a frame to who had the container started, if that is still there."""
        for line in self.lines:
            if line.holds:
                line.send(kind, body)
        self.sweep()

    def sweep(self) -> None:
        """Forget lines that were closed."""
        for line in self.lines:
            if not line.open:
                for each in self.lines:
                    self.left |= 0 if each.open else each.attached
                self.lines = [each for each in self.lines if each.open]
                return

    def release(self) -> None:
        """Before the container is started again: those who were attached to its last life get no output of the next."""
        self.sweep()
        self.left = 0
        for line in self.lines:
            line.attached = 0
            line.holds = False

    def finish(self, last: bytes) -> None:
        """Deliver what waits and close: to who wants all of the output, however slowly they read; to others if they do.

        Who came too late to hear of the end is told, too, by the frame ``last``.
        """
        if self._listener >= 0:
            while (line := _accepted(self._listener)) is not None:
                line.send(last[:1], last[1:])
                self.lines.append(line)
            _socket.close(self._listener)
            self._listener = -1
        end = time.monotonic() + _LAST_PATIENCE
        while waiting := [line for line in self.lines if line.open and line.is_behind]:
            poll = select.poll()
            for line in waiting:
                poll.register(line.descriptor, select.POLLOUT)
            patient = any(line.holds for line in waiting)
            left = end - time.monotonic()
            if not poll.poll(None if patient and left <= 0 else max(left, 0) * 1000) and not patient:
                break
            for line in waiting:
                line.flush()
        for line in self.lines:
            line.close()
        self.lines = []


def _accepted(listener: int) -> Line | None:
    """Somebody who waits at the control socket; None if there is nobody more."""
    borrowed = _socket.socket(fileno=listener)
    try:
        # The C type's only way to accept; the package `socket` on top of it costs imports.
        descriptor, _ = borrowed._accept()  # type: ignore[attr-defined] # noqa: SLF001
    except OSError:
        return None
    finally:
        borrowed.detach()
    return Line(_socket.socket(fileno=descriptor), holds=False, attached=0)
