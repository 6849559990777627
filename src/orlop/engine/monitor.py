"""One container's monitor: the parent of its init until the last cleaning.

It holds the container's standard streams, writes the log, serves the client that started the container and all that
come later, records how it ended, starts it again where that is wanted, and clears away after it. It depends on nothing else to stay alive, and it is small:
forked from a launcher that has everything loaded, it keeps its hands off what it shares with it, and leaves
to a child what touches much (see `starter`).
"""

from __future__ import annotations

import _signal
import _socket
import os

from orlop import json_text
from orlop.engine import clock, container, control_socket, events, frames, monitor_lock, names, oom, starter
from orlop.engine.client_line import Line
from orlop.engine.clients import Clients
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

    from orlop.engine import health
    from orlop.engine.pump import Log
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
    clients = Clients(Line(_socket.socket(fileno=born.ends.pop("client"))), born.ends.pop("control"))
    lock = born.ends.pop("lock")
    code = _accompany(start, born, clients, filters)
    request = json_text.loads(born.data)
    target = _target(request)
    if code is not None:
        code = _end(target, request, born, clients, filters, code)
        starter.clean_up(target.location, request)
    control_socket.remove(target.location, target.id)
    monitor_lock.drop(target.location, target.id, lock)
    clients.finish(frames.EXITED + bytes((code or 0,)))
    return starter.FAILED if code is None else starter.STARTED


def _accompany(start: starter.Starter, born: starter.Born, clients: Clients, filters: Cache) -> int | None:
    """Be with the container until its program has ended; its exit code, or None if it was never executed."""
    pidfd = born.ends.pop("pidfd")
    pump = Pump(clients, _log(born), born.ends, born.pid, once=starter.ENDS_INPUT in born.flags)
    if starter.IS_LEASHED in born.flags:
        pump.leash = clients.lines[0]
    checks = _checks(born, filters) if starter.IS_CHECKED in born.flags else None
    pump.errand = checks
    pump.run(pidfd)
    if checks is not None:
        checks.close()
    # Only with the starter's end is the init our child, for us to wait for.
    outcome = start.wait_done()
    if outcome != starter.STARTED:
        return None
    _, status = os.waitpid(born.pid, 0)
    os.close(pidfd)
    pump.drain()
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _log(born: starter.Born) -> Log:
    def about() -> tuple[str, Mapping[str, str], str]:
        request = json_text.loads(born.data)
        log = request["log"]
        if "Attributes" in log:
            from orlop.engine import log_drivers

            return _target(request).log, log["Config"], log_drivers.dump(log["Attributes"])
        return _target(request).log, log["Config"], ""

    if "log" in born.ends:
        return LogFile(born.ends.pop("log"), about)
    from orlop.engine import log_drivers

    request = json_text.loads(born.data)
    target = _target(request)
    made: Log = log_drivers.writer(target.directory, target.log, request["log"])
    return made


def _checks(born: starter.Born, filters: Cache) -> health.Checks:
    from orlop.engine import health

    request = json_text.loads(born.data)
    return health.Checks(_target(request), request, filters)


def _end(
    target: container.Container,
    request: dict[str, Any],
    born: starter.Born,
    clients: Clients,
    filters: Cache,
    code: int,
) -> int:
    """Record the end and tell the clients, or have the container live on until it ends for good; its last exit code."""
    state = _state_at_end(target, request, born, code)
    if "restart" in request or clients.policy is not None:
        from orlop.engine import restarting

        restarts = restarting.Restarts(request, clients, filters)
        while (life := restarts.next(target, state, born)) is not None:
            start, born = life
            again = _accompany(start, born, clients, filters)
            if again is None:
                state["Error"] = "the container could not be started again"
                break
            code = again
            state = _state_at_end(target, request, born, code)
        state = restarts.last(state)
    if "wishes" in request and request["wishes"].get("measure"):
        from orlop.engine import usage

        clients.tell(frames.USAGE, json_text.dumps(usage.measure(target.location.runtime, target.id)).encode())
    starter.record_end(target, request, state)
    clients.tell(frames.EXITED, bytes((code,)))
    return code


def rehearse() -> None:
    """Go through the motions of an idle monitor, so that what the interpreter remembers of them is shared by all."""
    for _ in range(_REHEARSALS):
        (stdin, *theirs), ends = starter.pipes(open_stdin=False)
        here, there = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        there.close()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        clients = Clients(Line(_socket.socket(fileno=here.detach())))
        pump = Pump(clients, LogFile(os.dup(reader), lambda: ("", {}, "")), ends, 0)
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


def _state_at_end(
    target: container.Container, request: dict[str, Any], born: starter.Born, code: int
) -> dict[str, Any]:
    """What is known of a container whose program has just ended; this tells of its end by an event."""
    state = container.new_state("exited")
    if code == 137:
        state["OOMKilled"] = oom.happened(target.location.runtime, target.id)
    state.update(ExitCode=code, StartedAt=born.started_at, FinishedAt=clock.now())
    if names.holder_of(target.location.names, request["name"]) != target.id:
        request["attributes"] = events.attributes(target.record)  # it was renamed
    if state["OOMKilled"]:
        events.emit(target.location, events.CONTAINER, "oom", target.id, request["attributes"])
    about = {**request["attributes"], "exitCode": str(code)}
    events.emit(target.location, events.CONTAINER, "die", target.id, about)
    return state
