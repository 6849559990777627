"""Being a container's terminal: our standard streams on one side, its monitor on the other."""

from __future__ import annotations

import _signal
import os
import select
import sys

from orlop.engine import frames
from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.detach_keys import DetachKeys
    from orlop.engine.start import Session
    from orlop.linux.raw_mode import RawMode

_CHUNK = frames.LARGEST
#: Milliseconds that a container has run when there is time to look after what crashes left.
_QUIET = 50

#: What is passed on. Not the stop and continue signals: those are for the shell's job control over us.
_FORWARDED = (
    _signal.SIGHUP,
    _signal.SIGINT,
    _signal.SIGQUIT,
    _signal.SIGTERM,
    _signal.SIGUSR1,
    _signal.SIGUSR2,
    _signal.SIGALRM,
)


class Terminal:
    """Our own terminal, raw while the container has it, and the signals that come to us meanwhile."""

    __slots__ = ("_before", "_mode", "_raw", "_signals", "wake_reader", "wake_writer")

    def __init__(self, *, raw: bool, signals: bool) -> None:
        self._raw = raw
        self._before: list[Any] = []
        self._signals = (*_FORWARDED, _signal.SIGWINCH) if signals else (_signal.SIGWINCH,)
        self._mode: RawMode | None = None
        self.wake_reader = -1
        self.wake_writer = -1

    def __enter__(self) -> Terminal:
        self.wake_reader, self.wake_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        _signal.set_wakeup_fd(self.wake_writer)
        self._before = [_signal.signal(number, _note) for number in self._signals]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()
        if error is not None:  # there is no container: they are for whatever is done instead, such as pulling its image
            for number, handler in zip(self._signals, self._before, strict=True):
                _signal.signal(number, handler)
        _signal.set_wakeup_fd(-1)
        os.close(self.wake_reader)
        os.close(self.wake_writer)

    def make_raw(self) -> None:
        """Give the keyboard to the container: no echo, no lines, no signals of our own."""
        if not self._raw:
            return
        from orlop.linux.raw_mode import RawMode

        self._mode = RawMode(0)
        self._mode.__enter__()

    def restore(self) -> None:
        """Put our terminal back as it was."""
        if self._mode is not None:
            self._mode.restore()
            self._mode = None

    @staticmethod
    def size() -> tuple[int, int] | None:
        """Rows and columns of the terminal that we are on, if we are on one."""
        for descriptor in (1, 0, 2):
            try:
                size = os.get_terminal_size(descriptor)
            except OSError:
                continue
            return size.lines, size.columns
        return None


def _note(_number: int, _frame: object) -> None:
    """Being called is enough: the signal's number is in the wake-up pipe."""


def attach(
    session: Session,
    terminal: Terminal,
    target: Container,
    *,
    read_stdin: bool,
    keys: DetachKeys | None = None,
    is_exec: bool = False,
) -> int:
    """Carry bytes and signals both ways until the program that was started ends; returns its exit status.

    It is over as well, with the status 0, when the user presses ``keys``. ``is_exec`` says that the program is not the
    container's own.

    Raises:
        OrlopError: its monitor was killed.
    """
    terminal.make_raw()
    return _Attachment(session, terminal, target, keys if read_stdin else None, is_exec).run(read_stdin=read_stdin)


def redraw(session: Session, size: tuple[int, int]) -> None:
    """Tell a program that is on its terminal already our size, and have it draw anew even if that is no other."""
    rows, columns = size
    session.send(frames.SIZE, frames.size(rows + 1, columns + 1))
    session.send(frames.SIZE, frames.size(rows, columns))


class _Attachment:
    __slots__ = (
        "_is_away",
        "_is_exec",
        "_keys",
        "_pending",
        "_reading",
        "_repaired",
        "_session",
        "_target",
        "_terminal",
    )

    def __init__(
        self, session: Session, terminal: Terminal, target: Container, keys: DetachKeys | None, is_exec: bool
    ) -> None:
        self._session = session
        self._terminal = terminal
        self._target = target
        self._keys = keys
        self._is_exec = is_exec
        self._is_away = False
        self._reading = False
        self._repaired = False
        self._pending: list[bytes] = []  # frames that the monitor has not taken yet
        session.socket.setblocking(False)

    def run(self, *, read_stdin: bool) -> int:
        self._reading = read_stdin
        socket = self._session.socket.fileno()
        wake = self._terminal.wake_reader
        status = self._receive()  # the session may hold a frame that came early
        if status is not None:
            return status
        while True:
            poll = select.poll()
            poll.register(socket, select.POLLIN | (select.POLLOUT if self._pending else 0))
            poll.register(wake, select.POLLIN)
            if self._reading and not self._pending:
                poll.register(0, select.POLLIN)
            events = poll.poll(None if self._repaired else _QUIET)
            if not events:
                self._repair()
            for descriptor, happened in events:
                if descriptor == wake:
                    self._forward(os.read(wake, 512))
                elif descriptor == 0:
                    self._read()
                else:
                    if happened & select.POLLOUT:
                        self._flush()
                    if happened & ~select.POLLOUT:
                        status = self._receive()
                        if status is not None:
                            return status
            if self._is_away and not self._pending:
                self._session.socket.close()
                self._terminal.restore()
                self._tell_detached()
                return 0

    def _receive(self) -> int | None:
        try:
            frame = self._session.receive()
        except BlockingIOError:
            return None
        if frame is None:
            self._repair()
            self._terminal.restore()
            raise OrlopError(f"the monitor of container {self._target.id[:12]} was killed")
        kind, body = frame
        if kind == frames.EXITED:
            return body[0]
        if kind in (frames.STDOUT, frames.STDERR):
            _write(1 if kind == frames.STDOUT else 2, body)
        elif kind == frames.SKIPPED:
            count = int.from_bytes(body, "little")
            sys.stderr.write(f"\nWARNING: {count} bytes of output came too fast and are only in the log\n")
        return None

    def _send(self, frame: bytes) -> None:
        self._pending.append(frame)
        self._flush()

    def _flush(self) -> None:
        try:
            while self._pending:
                self._session.socket.send(self._pending[0])
                del self._pending[0]
        except BlockingIOError:
            return
        except OSError:
            self._pending = []  # the monitor has closed; its last words are still to be read
            self._reading = False

    def _read(self) -> None:
        try:
            data = os.read(0, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # EIO: our terminal was hung up
        if data:
            self._type(data)
        else:
            self._reading = False
            self._send(frames.STDIN_END)

    def _type(self, data: bytes) -> None:
        if self._keys is None:
            self._send(frames.STDIN + data)
            return
        from orlop.engine.detach_keys import Away

        try:
            data = self._keys.take(data)
        except Away as away:
            self._is_away = True
            self._reading = False
            data = away.before
        if data:
            self._send(frames.STDIN + data)

    def _tell_detached(self) -> None:
        from orlop.engine import events

        sys.stderr.write("read escape sequence\n")
        events.of_container(self._target, "exec_detach" if self._is_exec else "detach")

    def _forward(self, numbers: bytes) -> None:
        for number in numbers:
            if number == _signal.SIGWINCH:
                size = self._terminal.size()
                if size is not None:
                    self._send(frames.SIZE + frames.size(*size))
            elif number in _FORWARDED and not self._signal(number):
                self._send(frames.SIGNAL + number.to_bytes(1, "little"))

    def _signal(self, number: int) -> bool:
        """Pass a signal on past the input that the program has not taken; false if that way is closed."""
        if self._is_exec:
            return False
        from orlop.engine import control

        return control.signal(self._target, number)

    def _repair(self) -> None:
        self._repaired = True
        from orlop.engine import repair

        try:
            repair.everything(self._target.location)
        except (OSError, OrlopError) as error:
            sys.stderr.write(f"WARNING: what an earlier crash left could not be cleared: {error}\n")


def _write(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()
