"""Starting a container that is there: one that was only created, or that has ended."""

from __future__ import annotations

import os

from orlop.engine import container, events, lost_snapshots, monitor_lock, pausing, repair, signalling
from orlop.errors import Conflict, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from orlop.engine.start import Session

#: There is no starting what is on its way already.
_RUNS = ("running", "restarting")


def start(
    target: container.Container, *, console_size: tuple[int, int] | None = None, stays: bool = True
) -> Session | None:
    """Have a container started; None if it runs.

    The session is attached to the container from its first byte of output on; `Session.wait_started` tells whether it
    could be started. ``stays`` says that the caller goes, and the container stays.

    Raises:
        Conflict: it is paused, or somebody else has just started it.
        NotFound: it was removed meanwhile.
        OrlopError: there is nobody to start it.
    """
    from orlop.engine import start

    steps = starting(target, console_size=console_size, stays=stays)
    return start.at_once(steps)


def starting(
    target: container.Container,
    *,
    console_size: tuple[int, int] | None = None,
    stays: bool = True,
    lock: int | None = None,
) -> Generator[int, None, Session | None]:
    """The steps of `start`, as `orlop.engine.start.starting` has them.

    ``lock`` is the container's, if the caller has waited for it, which is taken over: otherwise the first step waits for
    who copies files, renames or removes it.
    """
    from orlop.engine import start

    try:
        repair.look_after(target)
        lock = container.lock(target.directory) if lock is None else lock
    except BaseException:
        if lock is not None:
            os.close(lock)
        raise
    if lock is None:
        raise NotFound(f"no such container: {target.id[:12]}")
    try:
        fresh = container.Container(target.location, target.id)  # what was read before may have been changed meanwhile
        state = pausing.state(fresh)
        if state["Status"] == "paused":
            raise Conflict("cannot start a paused container, try unpause instead")
        if state["Status"] in _RUNS:
            os.close(lock)
            return None
        monitor_lock.wait(fresh.location, fresh.id)  # of the last time, which clears away
        if "Altered" in fresh.record:  # by somebody who was killed over it
            from orlop.engine import alteration

            alteration.finish(fresh)
            fresh = container.Container(target.location, target.id)
        lost_snapshots.look_after(fresh)
        _keep(fresh, keeps=False)
        session = yield from start.starting(fresh, console_size, stays=stays)
    except BaseException:
        os.close(lock)
        raise
    session.hold(lock)
    return session


def restart(target: container.Container, timeout: float | None = None, signal: str | None = None) -> None:
    """Stop a container, if it runs, and start it; see `signalling.stop`. One with ``--rm`` stays in between.

    Raises:
        InvalidArgument: there is no such signal.
        Conflict: somebody else has just started it.
        NotFound: it was removed.
        OrlopError: it could not be started.
    """
    _keep(target, keeps=True)
    try:
        signalling.stop(target, timeout, signal)
    except BaseException:
        _keep(target, keeps=False)
        raise
    session = start(target)
    if session is not None:
        session.wait_started()
        session.leave()
    events.of_container(target, "restart")


def _keep(target: container.Container, *, keeps: bool) -> None:
    """Have a container with ``--rm`` stay when it ends, or not any more."""
    if not target.record["HostConfig"]["AutoRemove"]:
        return
    path = f"{target.directory}/{container.KEEP_FILE}"
    try:
        if keeps:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        else:
            os.unlink(path)
    except FileNotFoundError:
        return  # nobody has asked for it, or the container is gone
