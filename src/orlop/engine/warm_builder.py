"""The warm builder: a process that has everything of builds imported, and keeps a child ready for the next build.

A build of which nothing has changed takes a few milliseconds, importing what it needs ten times as many. The launcher
has none of that, since all idle containers would have it too. So the first build leaves a process of its own behind, one
for each run directory, which goes when it was idle for a while. It has no state; killing it costs the next build its imports.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select

from orlop.engine import birth, launch, location, reception
from orlop.engine.door import Door
from orlop.linux import prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.launcher import Commands
    from orlop.engine.location import Location

#: Seconds after the last build that it stays.
IDLE = 60
_LOCK_NAME = "builder.lock"
_COMMANDED = b"\xff"


def leave_behind(where: Location) -> None:
    """Start the builder of an engine, unless there is one; returns before it is ready.

    Only for an engine that is found without being named on the command line, as the builder's callers find it. Where an
    ordinary user's command has entered a user namespace, a builder would be of no use to the next one.
    """
    if where.rootless is (os.geteuid() == 0) or len(os.listdir("/proc/self/task")) > 1:
        return
    if where.run_root != location.locate().run_root:
        return
    lock = _take_place(where.run_root)
    if lock < 0:
        return
    os.close(lock)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    status = 1
    try:
        os.setsid()
        if os.fork() == 0:
            launch.detach_from_caller()
            launch.execute(f"from orlop.cli.warm_build import main\nmain({where.run_root!r})")
        status = 0
    finally:
        os._exit(status)


def _take_place(run_root: str) -> int:
    """The lock of the one builder of a run directory; -1 if another process has it."""
    lock = os.open(f"{run_root}/{_LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not flock, which children would inherit
    except (BlockingIOError, PermissionError):
        os.close(lock)
        return -1
    return lock


def main(run_root: str, commands: Commands) -> int:
    """Be the builder, as long as somebody wants one."""
    prctl.set_name("orlop-builder")
    lock = _take_place(run_root)
    if lock < 0:
        return 0
    path = f"{run_root}/{commands.name}"
    builder = WarmBuilder(path, commands)
    gc.disable()
    gc.collect()
    gc.freeze()
    builder.run()
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # the run directory was taken away under us
    os.close(lock)
    return 0


class WarmBuilder:
    """The builder's loop: one child waits at the door, others build.

    A child whose caller came says so through the pipe ``_news``; the pipe ``_alive`` ends for who waits when we do.
    """

    __slots__ = ("_alive", "_children", "_commands", "_door", "_news", "_reception", "_spare")

    def __init__(self, path: str, commands: Commands) -> None:
        self._commands = commands
        self._reception = reception.Reception()
        self._alive = os.pipe2(os.O_CLOEXEC)
        self._news = os.pipe2(os.O_CLOEXEC)
        #: Processes by the descriptors that tell of their end.
        self._children: dict[int, int] = {}
        self._spare = 0
        self._door = Door(path)

    def run(self) -> None:
        """Serve until idle for `IDLE` seconds, or outdated."""
        self._spare = self._fork()
        while self._spare:
            poll = select.poll()
            for descriptor in (self._news[0], *self._children):
                poll.register(descriptor, select.POLLIN)
            events = [descriptor for descriptor, _ in poll.poll(IDLE * 1000)]
            if not events and len(self._children) == 1:
                return
            if self._news[0] in events:
                os.read(self._news[0], 1)
                self._spare = self._fork()
            for descriptor in events:
                if descriptor != self._news[0] and self._reap(descriptor):
                    return

    def _reap(self, descriptor: int) -> bool:
        """Take note of a child's end; whether it is time for ours, because it found our code changed or was killed in waiting."""
        pid = self._children.pop(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        return pid == self._spare or os.waitstatus_to_exitcode(status) == birth.OUTDATED

    def _fork(self) -> int:
        """Fork a child that waits for a build; returns its pid, 0 if there can be no process more."""
        try:
            pid = os.fork()
        except OSError:
            return 0
        if pid:
            self._children[os.pidfd_open(pid)] = pid
            return pid
        status = birth.FAILED
        try:
            for descriptor in (self._news[0], self._alive[1], *self._children):
                os.close(descriptor)
            status = self._serve()
        finally:
            os._exit(status)

    def _serve(self) -> int:
        prctl.set_name("orlop-build")
        connection = self._door.wait(self._alive[0])
        if connection is None:
            return birth.CLOSED
        os.write(self._news[1], _COMMANDED)
        for descriptor in (self._news[1], self._alive[0], self._door.descriptor):
            os.close(descriptor)
        return self._commands.serve(connection, self._reception.has_changed_at_last)
