"""What others than its starter want of a running container: attach to it, wait for its end, have it stay down.

All of it goes to the control socket of the container's monitor (`control_socket`), in `frames`.
"""

from __future__ import annotations

import _socket
import os
import select
import time

from orlop import json_text
from orlop.engine import control_socket, events, frames, monitor_lock, repair
from orlop.errors import Conflict, InvalidArgument, NotFound, OrlopError
from orlop.linux import inotify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.start import Session
    from orlop.linux.shared_inotify import SharedWatch

#: What can be waited for, in the words of Docker's API: that the container does not run; that it ends the next time; that
#: it is removed.
NOT_RUNNING = "not-running"
NEXT_EXIT = "next-exit"
REMOVED = "removed"
CONDITIONS = (NOT_RUNNING, NEXT_EXIT, REMOVED)

#: Seconds that a look at a container that does nothing lasts before the next one.
_LOOK = 5.0


def attach(target: Container, *, stdin: bool = True, stdout: bool = True, stderr: bool = True) -> Session:
    """A connection to a running container's standard streams, from now on.

    Output that its reader does not take in time is left out, and `frames.SKIPPED` says so: whoever attaches never holds
    the container back. The log has all of it.

    Raises:
        Conflict: the container is not running.
    """
    from orlop.engine import pausing
    from orlop.engine.start import Session

    repair.look_after(target)
    status = target.state()["Status"]
    if status == "running" and pausing.is_paused(target):
        raise Conflict(f"cannot attach to container {target.name}, which is paused: unpause it first")
    if status == "restarting":
        raise Conflict(f"cannot attach to container {target.name}, which is restarting: wait until it is running")
    client = control_socket.connect(target.location, target.id) if status == "running" else None
    if client is None:
        raise Conflict(f"cannot attach to container {target.name}, which is not running: start it first")
    wanted = (
        (frames.TO_STDIN if stdin else 0) | (frames.TO_STDOUT if stdout else 0) | (frames.TO_STDERR if stderr else 0)
    )
    session = Session(client, None)
    session.send(frames.ATTACH, bytes((wanted,)))
    events.of_container(target, "attach")
    return session


def signal(target: Container, number: int) -> bool:
    """Pass a signal on that came to a client, past whatever input waits; False if there is no monitor."""
    return _tell(target, frames.SIGNAL, bytes((number,)))


def resize(target: Container, rows: int, columns: int) -> None:
    """Set the size of a container's terminal, in characters.

    Raises:
        Conflict: the container is not running.
    """
    repair.look_after(target)
    if not _tell(target, frames.SIZE, frames.size(rows, columns)):
        raise Conflict(f"container {target.name} is not running")
    events.of_container(target, "resize", {"height": str(rows), "width": str(columns)})


def halt(target: Container) -> None:
    """Have a container not be started again when it ends, because a user wants it to stop; in force on return."""
    _ask(target, frames.HALT, b"")


def set_policy(target: Container, policy: dict[str, Any]) -> None:
    """Have a running container's restart policy be another one, Docker's ``RestartPolicy``; in force on return.

    What is recorded is the caller's business.
    """
    _ask(target, frames.POLICY, json_text.dumps(policy).encode())


def wait(target: Container, condition: str = NOT_RUNNING) -> int:
    """Wait until a container has come to a `CONDITIONS`; its last exit code.

    Raises:
        InvalidArgument: there is no such condition.
        NotFound: it was removed before its next end.
    """
    steps = waiting(target, condition)
    while True:
        try:
            descriptor, patience = next(steps)
        except StopIteration as done:
            return int(done.value)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(None if patience is None else patience * 1000)


def waiting(
    target: Container, condition: str, watch: Callable[[str], inotify.Watch | SharedWatch] = inotify.Watch
) -> Generator[tuple[int, float | None], None, int]:
    """The steps of `wait`, for who waits for several things at once, and its result.

    ``watch`` is how changes of a directory are watched. Each step is a descriptor that has to be readable before the next one, and how many seconds to wait for that at most.

    Raises:
        InvalidArgument: there is no such condition.
        NotFound: it was removed before its next end.
    """
    if condition not in CONDITIONS:
        raise InvalidArgument(f'the condition "{condition}" is none of {", ".join(CONDITIONS)}')
    begin = time.time_ns()
    repair.look_after(target)
    before = target.state()
    code = None
    try:
        changes = watch(target.directory)  # before the first look, so that nothing happens between
    except FileNotFoundError:
        raise NotFound(f"no such container: {target.id[:12]}") from None
    try:
        while True:
            heard = yield from _hear_end(target, also_monitor=condition == REMOVED)
            if heard is not None:
                if condition != REMOVED:
                    return heard
                code = heard
            monitor_lock.wait(target.location, target.id)  # it is just clearing away
            repair.look_after(target)
            now = target.state()
            if not os.path.isdir(target.directory):
                if code is None:
                    code = _told_exit(target, begin)
                if code is None and condition != REMOVED:
                    raise NotFound(f"container {target.id[:12]} was removed")
                return int(before["ExitCode"]) if code is None else code
            has_ended = now["Status"] not in ("running", "restarting")
            code = int(now["ExitCode"]) if has_ended and now["FinishedAt"] != before["FinishedAt"] else None
            if has_ended and (condition == NOT_RUNNING or (condition == NEXT_EXIT and code is not None)):
                return int(now["ExitCode"])
            yield changes.descriptor, _LOOK
            changes.wait(0)  # what was told is looked at anyway
    finally:
        changes.close()


def _told_exit(target: Container, since: int) -> int | None:
    """The exit code of a container that has ended since a time and was removed before anybody looked; None if it has not."""
    try:
        told = events.read(target.location, since)
    except OSError:
        return None  # an engine whose events cannot be read has none to tell
    for each in reversed(told):
        if each["Action"] == "die" and each["Actor"]["ID"] == target.id:
            return int(each["Actor"]["Attributes"]["exitCode"])
    return None


def _hear_end(target: Container, *, also_monitor: bool) -> Generator[tuple[int, float | None], None, int | None]:
    """Wait for the end of a container's program, or ``also_monitor``'s; None if it has none, or that one was killed."""
    client = control_socket.connect(target.location, target.id)
    if client is None:
        return None
    code = None
    try:
        while True:
            yield client.fileno(), None
            frame = client.recv(frames.LARGEST + 1)
            if not frame:
                return code
            if frame[:1] == frames.EXITED:
                code = frame[1]
                if not also_monitor:
                    return code
    except ConnectionResetError:
        return code
    finally:
        client.close()


def _tell(target: Container, kind: bytes, body: bytes) -> bool:
    client = control_socket.connect(target.location, target.id)
    if client is None:
        return False
    try:
        client.send(kind + body, _socket.MSG_NOSIGNAL)
    except OSError:
        return False  # it has just ended
    finally:
        client.close()
    return True


def _ask(target: Container, kind: bytes, body: bytes) -> None:
    """Have the monitor, if there is one, take something in.

    Raises:
        OrlopError: it does not understand.
    """
    client = control_socket.connect(target.location, target.id)
    if client is None:
        return
    try:
        client.send(kind + body, _socket.MSG_NOSIGNAL)
        while (frame := client.recv(frames.LARGEST + 1)) and frame[:1] != kind:
            pass  # it heard of an end first
    except OSError:
        return  # it has ended, or was killed: there is nobody who would do otherwise
    finally:
        client.close()
    if not frame and monitor_lock.is_held(target.location, target.id):
        raise OrlopError(f"the monitor of container {target.id[:12]} does not answer")
