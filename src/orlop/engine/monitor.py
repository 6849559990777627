"""One container's monitor: the parent of its init until the last cleaning.

It holds the container's standard streams, writes the log, serves the client that started the container,
records how it ended, and clears away after it. It depends on nothing else to stay alive, and it is small:
forked from a launcher that has everything loaded, it keeps its hands off what it shares with it, and leaves
to a child what touches much (see `starter`).
"""

from __future__ import annotations

import _signal
import _socket
import os

from orlop import json_text
from orlop.engine import clock, container, events, frames, monitor_lock, oom, starter
from orlop.engine.client_line import Line
from orlop.engine.location import Location
from orlop.engine.log_file import LogFile
from orlop.engine.pump import Pump
from orlop.linux import prctl

#: As often as it takes the interpreter to settle on how to run a function.
_REHEARSALS = 16

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from orlop.linux.seccomp.cache import Cache


def run(receive: Callable[[], starter.Call], filters: Cache, let_go: Callable[[], None]) -> int:
    """Wait for a call, and be the monitor of the container that it starts, until that has ended.

    ``receive`` waits for the call, in a child (see `starter`); ``let_go`` closes here what only the child needs for
    that. The caller has seen to `ignore_endings`.

    Returns:
        `starter.STARTED`, or why there was no container.
    """
    prctl.become_subreaper()
    start = starter.Starter(receive, filters)
    let_go()
    born = start.wait_born()
    if born is None:
        return start.wait_done()
    _name("orlop-monitor")
    line = Line(_socket.socket(fileno=born.ends.pop("client")))
    lock = born.ends.pop("lock")
    pidfd = born.ends.pop("pidfd")

    def about_log() -> tuple[str, Mapping[str, str]]:
        request = json_text.loads(born.data)
        return _target(request).log, request["log_options"]

    pump = Pump(line, LogFile(born.ends.pop("log"), about_log), born.ends, born.pid)
    pump.run(pidfd)
    # Only with the starter's end is the init our child, for us to wait for.
    outcome = start.wait_done()
    request = json_text.loads(born.data)
    location = _target(request).location
    if outcome == starter.STARTED:
        _, status = os.waitpid(born.pid, 0)
        pump.drain()
        _ended(_target(request), request, born, line, os.waitstatus_to_exitcode(status))
        line.finish()
        starter.clean_up(location, request)
    monitor_lock.drop(location, request["id"], lock)
    return outcome


def rehearse() -> None:
    """Go through the motions of an idle monitor, so that what the interpreter remembers of them is shared by all."""
    for _ in range(_REHEARSALS):
        (stdin, *theirs), ends = starter.pipes(open_stdin=False)
        here, there = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        there.close()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        line = Line(_socket.socket(fileno=here.detach()))
        pump = Pump(line, LogFile(os.dup(reader), lambda: ("", {})), ends, 0)
        for descriptor in (stdin, *theirs, writer):
            os.close(descriptor)
        pump.run(reader)
        pump.drain()
        os.close(reader)


def _target(request: dict[str, Any]) -> container.Container:
    location = Location(request["root"], request["run_root"], rootless=request["rootless"])
    return container.Container(location, request["id"])


def _name(name: str) -> None:
    """What ps(1) shows; by a file, which touches less of our memory than a call through `_ctypes`."""
    descriptor = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(descriptor, name.encode())
    os.close(descriptor)


def ignore_endings() -> None:
    """Not end when a session ends or somebody is logged out: that is not meant to end containers.

    A handler, not SIG_IGN, which the container's program would inherit.
    """
    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT):
        _signal.signal(number, _stay)


def _stay(_number: int, _frame: object) -> None:
    pass


def _ended(target: container.Container, request: dict[str, Any], born: starter.Born, line: Line, status: int) -> None:
    """Record the end and tell the client."""
    code = 128 - status if status < 0 else status
    state = container.new_state("exited")
    if code == 137:
        state["OOMKilled"] = oom.happened(target.location.runtime, target.id)
    state.update(ExitCode=code, StartedAt=born.started_at, FinishedAt=clock.now())
    about = {**request["attributes"], "exitCode": str(code)}
    events.emit(target.location, events.CONTAINER, "die", target.id, about)
    starter.record_end(target, request, state)
    line.send(frames.EXITED, code.to_bytes(1, "little"))
