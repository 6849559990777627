"""Starting programs quickly, and knowing every process that they leave behind.

The benchmark makes itself a "subreaper" (prctl(2), PR_SET_CHILD_SUBREAPER): whatever a contestant leaves
running, a monitor, a shim or a daemon, becomes a descendant of this process. So memory is counted and
processes are ended without knowing any contestant's habits, and nobody else's processes are ever touched.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PR_SET_CHILD_SUBREAPER = 36

LIBC = ctypes.CDLL(None, use_errno=True)


class ProgramFailed(Exception):
    """A program that was to be measured did not end with status 0."""


def adopt_descendants() -> None:
    """Become the parent of every descendant whose own parent ends."""
    if LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl PR_SET_CHILD_SUBREAPER")


def seconds_to_run(command: list[str], log: str, environment: Mapping[str, str] | None = None) -> float:
    """Run a program to its end, its output appended to the file ``log``; return how long that took.

    Raises:
        ProgramFailed: it ended with a status other than 0; the text has the last line of its output.
    """
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    begin = time.perf_counter()
    pid = os.posix_spawn(command[0], command, environment or os.environ, file_actions=actions)
    status = os.waitpid(pid, 0)[1]
    end = time.perf_counter()
    if status != 0:
        with open(log, errors="replace") as output:
            said = (output.read().strip().splitlines() or [""])[-1]
        name = os.path.basename(command[0])
        raise ProgramFailed(f"{name} ended with status {os.waitstatus_to_exitcode(status)}: {said}")
    return end - begin


@dataclass(frozen=True)
class Process:
    """One process as /proc shows it; memory in bytes."""

    pid: int
    name: str
    uss: int
    pss: int


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(entry))
    return children


def descendants() -> list[int]:
    """The ids of all living descendants of this process."""
    children = _children()
    found: list[int] = []
    ahead = [os.getpid()]
    while ahead:
        below = children.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


def in_host_namespace(pids: Sequence[int]) -> Iterator[Process]:
    """Those of ``pids`` that are not inside a container, with what they hold in memory."""
    ours = os.readlink("/proc/self/ns/pid")
    for pid in pids:
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") != ours:
                continue
            with open(f"/proc/{pid}/comm") as comm:
                name = comm.read().strip()
            memory = {}
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                for line in rollup:
                    words = line.split()
                    if words[-1] == "kB":
                        memory[words[0]] = int(words[1]) * 1024
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        yield Process(pid, name, memory["Private_Clean:"] + memory["Private_Dirty:"], memory["Pss:"])


def reap() -> None:
    """Collect the exit statuses of adopted processes that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def end(pids: Sequence[int], patience: float = 10.0) -> None:
    """End these processes, politely and after ``patience`` seconds by force, and wait until they are gone."""
    handles = []
    for pid in pids:
        try:
            handles.append(os.pidfd_open(pid))
        except ProcessLookupError:
            continue
    for kind, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        for handle in handles:
            try:
                signal.pidfd_send_signal(handle, kind)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + wait
        for handle in handles:
            _wait_for_end(handle, deadline)
        reap()
    for handle in handles:
        os.close(handle)


def _wait_for_end(handle: int, deadline: float) -> None:
    import select

    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
