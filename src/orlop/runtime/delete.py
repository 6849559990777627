"""Deleting a container: its cgroup, its state, and then its poststop hooks.

runtime-spec, runtime.md, "Delete": only a stopped container can be deleted. As with runc, one that was
created and never started counts as such: its waiting process is ended.
"""

from __future__ import annotations

import _signal
import _socket
import os
import select

from orlop import json_text
from orlop.errors import Conflict, OrlopError
from orlop.linux import pidfd
from orlop.runtime import kill
from orlop.runtime.channel import Channel
from orlop.runtime.container import CGROUP_FILE, Container

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
            clear_away(container)
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
    _remove(group)
    hooks = (container.config().get("hooks") or {}).get("poststop")
    state = container.state("stopped") if hooks else {}
    container.remove()
    if hooks:
        from orlop.runtime.hooks import run_all

        for failure in run_all(hooks, state, "poststop"):
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


def clear_away(container: Container) -> None:
    """Remove what an interrupted creation left, but for the directory; nobody is creating it: the caller has the lock.

    Raises:
        OrlopError: its processes do not end.
    """
    from orlop.linux import cgroup

    _end_waiting(container)
    try:
        with open(f"{container.directory}/{CGROUP_FILE}", "rb") as file:
            group = cgroup.from_record(json_text.loads(file.read()))
    except (FileNotFoundError, ValueError):
        _remove_empty_group(container)  # it was killed at most a moment after the group was made
    else:
        if group.exists:
            group.kill(_signal.SIGKILL)
        _remove(group)
    container.empty()


def _end_waiting(container: Container) -> None:
    """End an init that waits for its start though nobody knows of it: who made it was killed just then."""
    channel = Channel(_socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC))
    try:
        container.connect(channel.socket)
        channel.send("end")
        channel.receive()  # nothing more comes: it has ended
    except (FileNotFoundError, ConnectionRefusedError, BrokenPipeError):
        return
    finally:
        channel.close()


def _remove_empty_group(container: Container) -> None:
    from orlop.linux import cgroup

    try:
        config = container.config()
    except (FileNotFoundError, ValueError):
        return
    layout = cgroup.detect()
    group = layout.group(layout.path((config.get("linux") or {}).get("cgroupsPath"), container.id))
    if group.exists and not group.pids():
        _remove(group)


def _remove(group: Group) -> None:
    try:
        group.remove()
    except OSError as error:
        raise OrlopError(f"cannot remove cgroup {error.filename}: {error.strerror}") from None
