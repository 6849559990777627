"""Hearing that a group ran out of memory.

Version 1 tells through an eventfd that is registered for ``memory.oom_control`` (the kernel's
cgroup-v1/memory.rst, section 10); version 2 counts in ``memory.events`` and makes the file poll as changed
(cgroup-v2.rst).
"""

from __future__ import annotations

import os
import select

from orlop.errors import Unsupported
from orlop.linux.cgroup import file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.cgroup.group import Group


class OomWatch:
    """A descriptor to poll and a count of what happened since it was last asked for.

    Poll ``descriptor`` for ``events``, then call `count`.
    """

    __slots__ = ("_counted", "_directory", "_version_2", "descriptor", "events")

    def __init__(self, group: Group) -> None:
        """Start watching.

        Raises:
            Unsupported: the group has no memory controller.
            OSError: the kernel refused.
        """
        v1 = group.directory("memory")
        v2 = group.directory("")
        if v1 is not None:
            self._directory = v1
            self._version_2 = False
            self.events = select.POLLIN
            self.descriptor = _register(v1)
        elif v2 is not None and os.path.exists(v2 + "/memory.events"):
            self._directory = v2
            self._version_2 = True
            self.events = select.POLLPRI
            self.descriptor = os.open(v2 + "/memory.events", os.O_RDONLY | os.O_CLOEXEC)
        else:
            raise Unsupported("cannot watch for out of memory: this container has no memory controller")
        self._counted = self._total() if self._version_2 else 0

    def count(self) -> int:
        """How often the group ran out of memory since the last call; 0 if it did not."""
        if self._version_2:
            total = self._total()
            new, self._counted = total - self._counted, total
            return new
        try:
            new = os.eventfd_read(self.descriptor)
        except BlockingIOError:
            return 0
        # The eventfd also fires when the group is removed.
        return new if os.path.exists(self._directory) else 0

    def close(self) -> None:
        """Stop watching."""
        os.close(self.descriptor)

    def _total(self) -> int:
        try:
            text = os.pread(self.descriptor, 4096, 0)
        except OSError:
            return self._counted  # ENODEV: the group was removed
        for line in text.split(b"\n"):
            name, _, value = line.partition(b" ")
            if name == b"oom_kill":
                return int(value)
        return 0


def _register(directory: str) -> int:
    event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        control = os.open(directory + "/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        try:
            file.write(directory + "/cgroup.event_control", f"{event} {control}")
        finally:
            os.close(control)
    except BaseException:
        os.close(event)
        raise
    return event
