"""Creating, starting and seeing a container through to its end, in one process."""

from __future__ import annotations

import os

from orlop.runtime import create, delete
from orlop.runtime.foreground import Foreground, hold_signals, let_signals_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.runtime.create import Created
    from orlop.runtime.request import Request


def run(
    request: Request, *, detach: bool = False, keep: bool = False, warn: Callable[[str], None] | None = None
) -> int:
    """Run a container.

    With ``detach``, return 0 as soon as its program runs; else wait for its end, pass signals on to it, delete it
    unless ``keep`` says otherwise, and return its exit status (128 plus the signal that killed it). ``warn`` is told
    what was asked for and could not be had, and which poststop hooks failed.

    Raises:
        OrlopError: as `create.create` and `Created.release`; nothing is left then.
    """
    created = create.create(request) if not detach else _create_detached(request)
    if warn is not None:
        for warning in created.warnings:
            warn(warning)
    if not detach:
        hold_signals()
    relay = None
    try:
        if request.notify_socket:
            from orlop.runtime.readiness import Relay

            relay = Relay(created.container, request.notify_socket)
        created.release()
        if relay is not None and detach:
            relay.wait(created.pidfd, created.pid)
        elif relay is not None:
            relay.wait_aside(created.pidfd, created.pid, created.console)
    except BaseException:
        _abandon(created)
        let_signals_in()
        raise
    finally:
        if relay is not None:
            relay.close()
    if detach:
        return 0
    status = Foreground(created.pid, created.pidfd, created.console).wait()
    if not keep:
        with created.container.lock():
            delete.destroy(created.container, warn)
    return status


def _create_detached(request: Request) -> Created:
    from orlop.errors import InvalidArgument

    created = create.create(request)
    if created.console >= 0:
        os.close(created.console)
        _abandon(created)
        raise InvalidArgument("cannot allocate a terminal without --console-socket when the runtime does not stay")
    return created


def _abandon(created: Created) -> None:
    from orlop.linux import pidfd

    try:
        pidfd.send_signal(created.pidfd, 9)
    except ProcessLookupError:
        pass  # it ended by itself, which is why it could not be started
    os.waitpid(created.pid, 0)
    with created.container.lock():
        delete.destroy(created.container)
