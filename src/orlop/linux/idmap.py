"""User namespaces that exist only to describe an id mapping, for mount_setattr(2)."""

from __future__ import annotations

import _signal
import os

from orlop.linux import clone, namespace, pidfd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KILL = 9


def user_namespace(uid_mappings: list[dict[str, Any]], gid_mappings: list[dict[str, Any]]) -> int:
    """A descriptor of a user namespace with these mappings; needs the right to map any id.

    The process that it takes to make one has ended when this returns; the descriptor keeps the namespace.
    """
    pid, process = clone.clone(namespace.CLONE_NEWUSER)
    if pid == 0:
        while True:
            _signal.pause()
    try:
        namespace.map_users(pid, uid_mappings, gid_mappings, privileged=True)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        pidfd.send_signal(process, _KILL)
        os.waitpid(pid, 0)
        os.close(process)
