"""Standing in for a container's process in the foreground: signals go in, output and the exit status come out."""

from __future__ import annotations

import _signal
import os
import select

from orlop.linux import pidfd, terminal

_CHUNK = 1 << 16
#: Not passed on: those that cannot be caught, and those that concern this process only.
_OWN = (
    _signal.SIGKILL,
    _signal.SIGSTOP,
    _signal.SIGCHLD,
    _signal.SIGWINCH,
    _signal.SIGPIPE,
    _signal.SIGSEGV,
    _signal.SIGBUS,
    _signal.SIGFPE,
    _signal.SIGILL,
)

_PASSED_ON = frozenset(_signal.valid_signals()) - frozenset(_OWN)


def hold_signals() -> None:
    """Keep signals waiting that `Foreground` will pass on, from before the program runs until it can.

    Without this, one that came in between would end the runtime and leave the program alone.
    """
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _PASSED_ON)


def let_signals_in() -> None:
    """The end of `hold_signals`."""
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _PASSED_ON)


class Foreground:
    """Waits for a child process; ``console`` is the master of its terminal, or -1. Closes both descriptors."""

    __slots__ = ("_console", "_pid", "_process")

    def __init__(self, pid: int, process: int, console: int) -> None:
        self._pid = pid
        self._process = process
        self._console = console

    def wait(self) -> int:
        """Pass signals and terminal data on until the process ends; returns its status as a shell says it."""
        for number in _PASSED_ON:
            _signal.signal(number, self._pass_on)
        let_signals_in()
        try:
            if self._console >= 0:
                self._relay_terminal()
            _, status = os.waitpid(self._pid, 0)
        finally:
            os.close(self._process)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _pass_on(self, number: int, _frame: object) -> None:
        try:
            pidfd.send_signal(self._process, number)
        except ProcessLookupError:
            return  # it has just ended; `wait` will see it

    def _relay_terminal(self) -> None:
        from orlop.linux.raw_mode import RawMode

        is_terminal = os.isatty(0)
        self._resize(0, None)
        if is_terminal:
            _signal.signal(_signal.SIGWINCH, self._resize)
        with RawMode(0 if is_terminal else -1):
            poll = select.poll()
            poll.register(self._console, select.POLLIN)
            poll.register(0, select.POLLIN)
            while True:
                for descriptor, _ in poll.poll():
                    data = _read(descriptor)
                    if descriptor == self._console:
                        if not data:
                            os.close(self._console)
                            return
                        _write(1, data)
                    elif data:
                        _write(self._console, data)
                    else:
                        poll.unregister(0)

    def _resize(self, _number: int, _frame: object) -> None:
        for descriptor in (0, 1, 2):
            if os.isatty(descriptor):
                terminal.set_size(self._console, *terminal.get_size(descriptor))
                return


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except OSError as error:
        if error.errno == 5:  # EIO: the other end of a terminal is closed
            return b""
        raise


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
