"""What a creation that was killed leaves: a directory without ``state.json``, a cgroup, perhaps an init that waits."""

from __future__ import annotations

import _signal
import _socket

from orlop import json_text
from orlop.linux import cgroup
from orlop.runtime.channel import Channel
from orlop.runtime.container import CGROUP_FILE
from orlop.runtime.delete import remove_group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.runtime.container import Container


def clear_away(container: Container) -> None:
    """Remove what an interrupted creation left, but for the directory; nobody is creating it: the caller has the lock.

    Raises:
        OrlopError: its processes do not end.
    """
    _end_waiting(container)
    try:
        with open(f"{container.directory}/{CGROUP_FILE}", "rb") as file:
            group = cgroup.from_record(json_text.loads(file.read()))
    except (FileNotFoundError, ValueError):
        _remove_empty_group(container)  # it was killed at most a moment after the group was made
    else:
        if group.exists:
            group.kill(_signal.SIGKILL)
        remove_group(group)
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
    try:
        config = container.config()
    except (FileNotFoundError, ValueError):
        return
    layout = cgroup.detect()
    group = layout.group(layout.path((config.get("linux") or {}).get("cgroupsPath"), container.id))
    if group.exists and not group.pids():
        remove_group(group)
