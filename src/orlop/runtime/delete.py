"""Deleting a container: its cgroup, its state, and then its poststop hooks.

runtime-spec, runtime.md, "Delete": only a stopped container can be deleted. As with runc, one that was
created and never started counts as such: its waiting process is ended.
"""

from __future__ import annotations

import _signal
import os
import select

from orlop.errors import Conflict, OrlopError
from orlop.linux import pidfd
from orlop.runtime import kill
from orlop.runtime.container import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.linux.cgroup import Group

#: Seconds that a killed init process may take to end: the kernel takes its children and its memory down first.
PATIENCE = 10.0


def delete(container: Container, *, force: bool = False, warn: Callable[[str], None] | None = None) -> None:
    """Delete a container; with ``force`` also one that runs, which is killed first.

    ``warn`` is told about poststop hooks that failed: they do not undo the deletion.

    Raises:
        Conflict: it runs, and ``force`` was not said.
        NotFound: it was deleted meanwhile.
        OrlopError: its processes do not end.
    """
    with container.lock():
        container = Container.load(container.root, container.id)  # as it is now that nobody else changes it
        status = container.status()
        if status == "creating":
            from orlop.runtime import leftovers

            leftovers.clear_away(container)
            container.remove()
            return
        if status != "stopped":
            if not force and status != "created":
                raise Conflict(f"cannot delete container {container.id} that is not stopped: {status}")
            _end(container)
        destroy(container, warn)


def destroy(container: Container, warn: Callable[[str], None] | None = None) -> None:
    """Remove what a stopped container still holds, and run its poststop hooks. The caller has the lock.

    Raises:
        OrlopError: processes that share the caller's pid namespace do not leave the cgroup.
    """
    group = container.cgroup()
    if not kill.has_own_pid_namespace(container) and group.exists:
        group.kill(_signal.SIGKILL)
    remove_group(group)
    if (allocation := container.allocation()) is not None:
        allocation.remove()
    hooks = (container.config().get("hooks") or {}).get("poststop")
    state = container.state("stopped") if hooks else {}
    container.remove()
    if hooks:
        from orlop.runtime.hooks import run_all

        for failure in run_all(hooks, state, "poststop", state["bundle"]):
            if warn is not None:
                warn(failure)


def _end(container: Container) -> None:
    try:
        process = pidfd.open_process(container.pid)
    except ProcessLookupError:
        return
    try:
        try:
            kill.kill(container, _signal.SIGKILL)
        except Conflict:
            return  # it ended by itself
        poll = select.poll()
        poll.register(process, select.POLLIN)
        if not poll.poll(PATIENCE * 1000):
            raise OrlopError(f"container init still running: process {container.pid} does not end on SIGKILL")
    finally:
        os.close(process)


def remove_group(group: Group) -> None:
    """Remove a cgroup whose processes have ended or are about to.

    Raises:
        OrlopError: they do not end.
    """
    try:
        group.remove()
    except OSError as error:
        raise OrlopError(f"cannot remove cgroup {error.filename}: {error.strerror}") from None
