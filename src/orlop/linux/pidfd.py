"""Processes by descriptor (pidfd_open(2), pidfd_send_signal(2), Linux 5.3).

Python has both calls built in, unless it was built against older headers; using them spares ``kill`` and
``delete`` the 4 ms that the door to the kernel takes to open.
"""

from __future__ import annotations

import _signal
import os


def open_process(pid: int) -> int:
    """A descriptor (close-on-exec) that names this process even after its number is reused.

    Raises:
        ProcessLookupError: there is no such process.
    """
    if hasattr(os, "pidfd_open"):
        try:
            return os.pidfd_open(pid)
        except OSError as error:
            raise _named(error, "pidfd_open", str(pid)) from None
    from orlop.linux import number
    from orlop.linux.call import syscall

    return syscall(number.PIDFD_OPEN, "pidfd_open", str(pid), pid, 0)


def send_signal(descriptor: int, signal: int) -> None:
    """Signal the process.

    Raises:
        ProcessLookupError: it has ended.
    """
    if hasattr(_signal, "pidfd_send_signal"):
        try:
            _signal.pidfd_send_signal(descriptor, signal)
        except OSError as error:
            raise _named(error, "pidfd_send_signal") from None
        return
    from orlop.linux import number
    from orlop.linux.call import syscall

    syscall(number.PIDFD_SEND_SIGNAL, "pidfd_send_signal", None, descriptor, signal, None, 0)


def _named(error: OSError, call: str, path: str | None = None) -> OSError:
    """The same error with the call's name in its text, as `orlop.linux.call` words it."""
    text = f"{call}: {error.strerror}"
    return OSError(error.errno, text) if path is None else OSError(error.errno, text, path)
