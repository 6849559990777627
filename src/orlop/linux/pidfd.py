"""Processes by descriptor (pidfd_open(2), pidfd_send_signal(2), Linux 5.3)."""

from __future__ import annotations

from orlop.linux import number
from orlop.linux.call import syscall


def open_process(pid: int) -> int:
    """A descriptor (close-on-exec) that names this process even after its number is reused.

    Raises:
        ProcessLookupError: there is no such process.
    """
    return syscall(number.PIDFD_OPEN, "pidfd_open", str(pid), pid, 0)


def send_signal(descriptor: int, signal: int) -> None:
    """Signal the process.

    Raises:
        ProcessLookupError: it has ended.
    """
    syscall(number.PIDFD_SEND_SIGNAL, "pidfd_send_signal", None, descriptor, signal, None, 0)
