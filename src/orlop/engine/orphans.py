"""Processes of a container without a pid namespace of its own whose parents have ended: they fall to its monitor.

Elsewhere the container's first process gets them. Here somebody has to wait for them, or they stay as zombies for as
long as the container lives.
"""

from __future__ import annotations

import _signal
import os


def reap_from_now_on(init: int) -> None:
    """Wait for every orphan that ends; ``init`` is the container's first process, which others wait for."""

    def reap(_number: int, _frame: object) -> None:
        _reap(init)

    _signal.signal(_signal.SIGCHLD, reap)
    _reap(init)


def _reap(init: int) -> None:
    for pid in _children():
        if pid != init and not _is_ours(pid):
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue


def _children() -> list[int]:
    try:
        with open("/proc/thread-self/children", "rb", buffering=0) as file:
            return [int(word) for word in file.readall().split()]
    except FileNotFoundError:
        return []  # a kernel without this file (CONFIG_PROC_CHILDREN): they stay until the container ends


def _is_ours(pid: int) -> bool:
    """Whether a child is the monitor's own, who waits for it where it was started."""
    try:
        with open(f"/proc/{pid}/comm", "rb", buffering=0) as file:
            return file.read(64).startswith(b"orlop-")
    except OSError:
        return True  # it is gone
