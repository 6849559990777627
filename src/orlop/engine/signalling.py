"""Sending signals to a running container, and waiting for its end."""

from __future__ import annotations

import _signal
import os
import select

from orlop.engine import control, events, monitor_lock, repair
from orlop.errors import Conflict, InvalidArgument, NotFound
from orlop.runtime import kill as runtime_kill
from orlop.runtime.container import Container as RuntimeContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container


def _running(target: Container, verb: str) -> RuntimeContainer:
    repair.look_after(target)
    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
        if inner.alive():
            return inner
    except NotFound:
        pass  # it has ended and was cleaned up; said below
    raise Conflict(f"cannot {verb} container: {target.name}: container {target.id[:12]} is not running")


def kill(target: Container, signal: str) -> None:
    """Send a signal, by name or number, to the container's first process; SIGKILL's end is recorded on return.

    Raises:
        InvalidArgument: there is no such signal.
        Conflict: the container is not running.
    """
    number = runtime_kill.signal_number(signal)
    if number == 0:
        raise InvalidArgument(f'unknown signal "{signal}"')  # which would do nothing
    about = events.attributes(target.record)
    stopping = runtime_kill.signal_number(target.record["Config"].get("StopSignal") or "SIGTERM")
    ends = number in (stopping, _signal.SIGKILL)
    is_between = ends and target.state()["Status"] == "restarting"
    if ends:
        control.halt(target)
    try:
        inner = _running(target, "kill")
    except Conflict:
        if not is_between:
            raise
        monitor_lock.wait(target.location, target.id)  # there was no process just then, and there will be none
        return
    _tell(target, "kill", about, number)
    send(inner, number)
    if number == stopping:
        _let_go_on(inner)
    if number == _signal.SIGKILL:
        monitor_lock.wait(target.location, target.id)


def _tell(target: Container, action: str, about: dict[str, str], number: int = 0) -> None:
    """Emit an event, also of a container that ``--rm`` has taken away meanwhile."""
    more = {"signal": str(number)} if number else {}
    events.emit(target.location, events.CONTAINER, action, target.id, {**about, **more})


def _let_go_on(inner: RuntimeContainer) -> None:
    """Let a container that is paused hear a signal that is to end it."""
    group = inner.cgroup()
    try:
        if group.frozen:
            group.thaw()
    except FileNotFoundError:
        return  # it has ended


def kill_all(target: Container) -> None:
    """End every process of the container; no error if there is none."""
    try:
        about = events.attributes(target.record)
        control.halt(target)
        send(RuntimeContainer.load(target.location.runtime, target.id), _signal.SIGKILL)
    except (NotFound, Conflict):
        return
    _tell(target, "kill", about, _signal.SIGKILL)


def send(inner: RuntimeContainer, number: int) -> None:
    """Send a signal by way of the runtime, whose state the monitor may be removing at the same time.

    Raises:
        Conflict: the container does not run.
    """
    try:
        runtime_kill.kill(inner, number)
    except FileNotFoundError:
        if number != _signal.SIGKILL:
            raise Conflict(f"container {inner.id[:12]} is not running") from None
        # It has died of it already, and its monitor clears away.


def stop(target: Container, timeout: float | None = None, signal: str | None = None) -> None:
    """Ask the container to end, and end it if it has not after ``timeout`` seconds (negative: wait for ever).

    Returns when its end is recorded. A container that does not run is left as it is.
    """
    record = target.record["Config"]
    about = events.attributes(target.record)
    number = runtime_kill.signal_number(signal or record.get("StopSignal") or "SIGTERM")
    patience = float(record.get("StopTimeout", 10)) if timeout is None else timeout
    control.halt(target)
    try:
        inner = _running(target, "stop")
        process = os.pidfd_open(inner.pid)
    except (Conflict, ProcessLookupError):
        monitor_lock.wait(target.location, target.id)
        return
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        try:
            _tell(target, "kill", about, number)
            send(inner, number)
            _let_go_on(inner)
            if not poll.poll(None if patience < 0 else patience * 1000):
                _tell(target, "kill", about, _signal.SIGKILL)
                send(inner, _signal.SIGKILL)
        except Conflict:
            pass  # it ended by itself meanwhile
    finally:
        os.close(process)
    monitor_lock.wait(target.location, target.id)
    _tell(target, "stop", about)
