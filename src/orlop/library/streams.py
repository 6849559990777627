"""A program's standard streams, over a connection to its monitor.

`Conversation` knows what is said there and nothing of how to wait for it, which is the business of `Stream`, and of
`orlop.aio` for those who have an event loop.
"""

from __future__ import annotations

import _socket
import os
import select
import time

from orlop import json_text
from orlop.engine import frames
from orlop.errors import OrlopError
from orlop.library.results import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any, Protocol

    from orlop.engine.start import Session

    class Readable(Protocol):
        """Where standard input comes from."""

        def read(self, size: int, /) -> bytes:
            """At most so many bytes; none at the end."""
            ...


_CHUNK = frames.LARGEST
#: Bytes that are kept of each standard stream unless somebody wants more.
OUTPUT_LIMIT = 64 << 20
_NANOSECOND = 1e-9


class Output:
    """Something that a program wrote: ``data``, to the ``stream`` ``stdout`` or ``stderr``."""

    __slots__ = ("data", "stream")

    def __init__(self, stream: str, data: bytes) -> None:
        self.stream = stream
        self.data = data

    def __repr__(self) -> str:
        return f"Output({self.stream!r}, {self.data!r})"


class Conversation:
    """What has been said on one connection: the output until now, and how the program ended.

    At most ``limit`` bytes of each stream are kept; ``truncated`` says that there were more, ``skipped`` how many bytes
    whoever attached was too slow for.
    """

    __slots__ = ("_kept", "ended", "exit_code", "limit", "parts", "skipped", "truncated", "usage", "who")

    def __init__(self, who: str, limit: int | None = OUTPUT_LIMIT) -> None:
        self.who = who
        self.limit = limit
        self.parts: dict[bytes, list[bytes]] = {frames.STDOUT: [], frames.STDERR: []}
        self._kept = {frames.STDOUT: 0, frames.STDERR: 0}
        self.exit_code: int | None = None
        self.ended = 0.0
        self.skipped = 0
        self.truncated = False
        self.usage = Usage()

    def hear(self, frame: tuple[bytes, bytes] | None) -> Output | None:
        """Take one frame in, None if there are no more; output, if it was that.

        Raises:
            OrlopError: the monitor ended, and not because the program did.
        """
        if frame is None:
            raise OrlopError(f"the monitor of {self.who} was killed")
        kind, body = frame
        if kind == frames.STDOUT:
            return Output("stdout", body)
        if kind == frames.STDERR:
            return Output("stderr", body)
        if kind == frames.EXITED:
            self.exit_code = body[0]
            self.ended = time.perf_counter()
        elif kind == frames.USAGE:
            told = json_text.loads(body)
            cpu = told.get("cpu")
            self.usage = Usage(None if cpu is None else cpu * _NANOSECOND, told.get("memory"), told.get("oom_kills"))
        elif kind == frames.SKIPPED:
            self.skipped += int.from_bytes(body, "little")
        return None

    def keep(self, output: Output) -> None:
        """Add to what is kept, as far as the limit allows."""
        kind = frames.STDOUT if output.stream == "stdout" else frames.STDERR
        data = output.data
        if self.limit is not None:
            left = self.limit - self._kept[kind]
            if len(data) > left:
                self.truncated = True
                data = data[:left]
        if data:
            self.parts[kind].append(data)
            self._kept[kind] += len(data)

    def kept(self) -> tuple[bytes, bytes]:
        """Standard output and standard error, as far as they were kept."""
        return b"".join(self.parts[frames.STDOUT]), b"".join(self.parts[frames.STDERR])


class Source:
    """Input on its way to a program: bytes, or something that can be read."""

    __slots__ = ("_file", "_rest", "ended")

    def __init__(self, given: bytes | str | Readable | None) -> None:
        if isinstance(given, str):
            given = given.encode()
        self._rest = given if isinstance(given, bytes | bytearray | memoryview) else b""
        self._file: Any = given if hasattr(given, "read") else None
        #: Whether the end was told.
        self.ended = given is None

    @property
    def descriptor(self) -> int:
        """What is to be waited for before `frame` is asked for; -1 if there is nothing."""
        if self._rest or self._file is None:
            return -1
        try:
            return int(self._file.fileno())
        except (AttributeError, OSError):
            return -1

    def frame(self) -> bytes:
        """The next packet for the monitor. It stays the next one until `sent` is called."""
        if not self._rest and self._file is not None:
            descriptor = self.descriptor
            self._rest = os.read(descriptor, _CHUNK) if descriptor >= 0 else self._file.read(_CHUNK)
        if not self._rest:
            return frames.STDIN_END
        return frames.STDIN + bytes(self._rest[:_CHUNK])

    def sent(self, frame: bytes) -> None:
        """A packet was taken."""
        if frame == frames.STDIN_END:
            self.ended = True
        else:
            self._rest = self._rest[len(frame) - 1 :]


class Stream:
    """The standard streams of a program that runs; a context manager that lets go of them.

    Iterating gives what it writes, as `Output`, until it ends; then ``exit_code`` is known.
    """

    __slots__ = ("_early", "_session", "conversation")

    def __init__(self, session: Session, who: str, limit: int | None = OUTPUT_LIMIT) -> None:
        self._session = session
        self._early = session.early()
        self.conversation = Conversation(who, limit)

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def exit_code(self) -> int | None:
        """The program's exit code; None as long as its end was not read."""
        return self.conversation.exit_code

    def close(self) -> None:
        """Let go of the streams. The program goes on; a command of `exec` then has nobody who reads it."""
        self._session.socket.close()

    def release(self) -> tuple[tuple[bytes, bytes] | None, _socket.socket]:
        """A frame that came before its turn, and the connection, for who reads it otherwise."""
        early, self._early = self._early, None
        return early, self._session.socket

    def write(self, data: bytes) -> None:
        """Give the program input; returns when it is on its way.

        Raises:
            BrokenPipeError: nobody takes it any more.
        """
        for place in range(0, len(data), _CHUNK):
            self._session.socket.send(frames.STDIN + data[place : place + _CHUNK], _socket.MSG_NOSIGNAL)

    def end_input(self) -> None:
        """Tell the program that there is no more input.

        Raises:
            BrokenPipeError: it has ended.
        """
        self._session.socket.send(frames.STDIN_END, _socket.MSG_NOSIGNAL)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal, in characters.

        Raises:
            BrokenPipeError: it has ended.
        """
        self._session.socket.send(frames.SIZE + frames.size(rows, columns), _socket.MSG_NOSIGNAL)

    def __iter__(self) -> Iterator[Output]:
        while (output := self.read()) is not None:
            yield output

    def read(self, timeout: float | None = None) -> Output | None:
        """What the program writes next; None when it has ended.

        Raises:
            TimeoutError: it wrote nothing for ``timeout`` seconds.
            OrlopError: its monitor was killed.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self.conversation.exit_code is None:
            if end is not None:
                self._wait(select.POLLIN, end)
            output = self.conversation.hear(self._receive())
            if output is not None:
                return output
        return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once the program has ended; its output is kept for `communicate`.

        Raises:
            TimeoutError: that took more than ``timeout`` seconds.
            OrlopError: its monitor was killed.
        """
        self.communicate(timeout=timeout)
        return self.conversation.exit_code or 0

    def communicate(
        self, stdin: bytes | str | Readable | Source | None = None, *, timeout: float | None = None
    ) -> tuple[bytes, bytes]:
        """Give the program all its input, read all its output, and wait for its end; like `subprocess.Popen`'s.

        Called again after a TimeoutError it goes on, without the input.

        Raises:
            TimeoutError: that took more than ``timeout`` seconds.
            OrlopError: its monitor was killed.
        """
        end = None if timeout is None else time.monotonic() + timeout
        source = stdin if isinstance(stdin, Source) else Source(stdin)
        said = self.conversation
        while said.exit_code is None:
            if not source.ended:
                self._exchange(source, end)
                continue
            if end is not None:
                self._wait(select.POLLIN, end)
            self._take()
        return said.kept()

    def _take(self) -> None:
        output = self.conversation.hear(self._receive())
        if output is not None:
            self.conversation.keep(output)

    def _exchange(self, source: Source, end: float | None) -> None:
        """Wait until something can be done, and do it."""
        if self._early is not None:
            self._take()
            return
        socket = self._session.socket
        poll = select.poll()
        asked = source.descriptor
        if asked >= 0:
            poll.register(asked, select.POLLIN)
        poll.register(socket.fileno(), select.POLLIN | (select.POLLOUT if asked < 0 else 0))
        events = dict(poll.poll(_left(end)))
        if not events:
            raise TimeoutError(f"{self.conversation.who} goes on for longer")
        happened = events.get(socket.fileno(), 0)
        if happened & ~select.POLLOUT:
            self._take()
        elif happened & select.POLLOUT or asked in events:
            frame = source.frame()
            try:
                socket.send(frame, _socket.MSG_NOSIGNAL | _socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:  # it has ended; its last words are still to be read
                source.ended = True
                return
            source.sent(frame)

    def _receive(self) -> tuple[bytes, bytes] | None:
        frame, self._early = self._early, None
        return frame or self._session.receive()

    def _wait(self, events: int, end: float) -> None:
        if self._early is not None:
            return
        poll = select.poll()
        poll.register(self._session.socket.fileno(), events)
        if not poll.poll(_left(end)):
            raise TimeoutError(f"{self.conversation.who} goes on for longer")


def _left(end: float | None) -> float | None:
    """Milliseconds until ``end``."""
    return None if end is None else max(0.0, end - time.monotonic()) * 1000
