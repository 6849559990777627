"""Pausing a container: all its processes are frozen by its cgroup, and later go on as if nothing had been."""

from __future__ import annotations

from orlop.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.runtime.container import Container


def pause(container: Container) -> None:
    """Freeze a created or running container.

    Raises:
        Conflict: it is paused already, or does not run.
        Unsupported: there is no freezer.
    """
    with container.lock():
        status = container.status()
        if status == "stopped":
            raise Conflict("container not running")
        if status == "creating" or container.cgroup().frozen:
            raise Conflict(f"container not running or created: {'paused' if status != 'creating' else status}")
        container.cgroup().freeze()


def resume(container: Container) -> None:
    """Thaw a paused container.

    Raises:
        Conflict: it is not paused.
    """
    with container.lock():
        if not container.alive() or not container.cgroup().frozen:
            raise Conflict("container not paused")
        container.cgroup().thaw()
