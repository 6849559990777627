"""The warm launcher: a process that has everything imported and keeps a monitor ready for the next container.

One per run directory. The first command that starts a container leaves it behind (see `launch`); it serves
callers with its own user id, and user, mount and network namespace, and goes when it was idle for a while. It
has no state: killing it costs the next command some milliseconds and no container anything.

A request at its first door is one packet on a SOCK_SEQPACKET connection: a JSON object, and with it descriptors of the
caller's user, mount and network namespaces, which only somebody in them can have. The connection then is the
monitor's line to its client (see `frames`).

Nobody waits for a fork: the monitor that will serve the next caller is there before it calls, with its
starter, which accepts the connection. The launcher hears of it and forks the next one meanwhile. What it does itself
it keeps small: each page that it writes to is a page that all living monitors no longer share with it.

At a second door another child waits, to carry out whole commands (see `orlop.cli.warm`).
"""

from __future__ import annotations

import _signal
import _socket
import fcntl
import gc
import os
import select

from orlop.engine import monitor

# isort: split
# What monitors use lies together now, in few pages; what follows is shared by all of them.
from orlop.engine import (
    birth,
    ending,
    exec_monitor,
    filters,
    fresh_memory,
    health,
    image_root,
    image_settings,
    mount_points,
    mounting,
    name_keeper,
    name_resolution,
    networking,
    orphans,
    own_cgroup,
    port_keeper,
    publishing,
    reception,
    rehearsal,
    resources,
    restarting,
    security_options,
    usage,
)
from orlop.engine.door import Door
from orlop.engine.location import Location
from orlop.images import config, platform, reference
from orlop.linux import prctl, seccomp
from orlop.linux.cgroup import devices_v1, limits
from orlop.linux.cgroup.controller import cpu, memory, pids
from orlop.network.drivers import bridge
from orlop.runtime import delete, init, kill, stage
from orlop.runtime.spec import linux, namespaces
from orlop.runtime.spec import mounts as mount_entries
from orlop.storage import blobs, leases, mounts
from orlop.storage.snapshots import choice, overlay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Commands(Protocol):
        """Whoever carries out commands at the second door, whose socket has this name."""

        name: str

        def serve(self, connection: _socket.socket, has_changed: Callable[[], bool]) -> int:
            """Do what the caller wants done, and return the exit status of the process that did it."""


# What a monitor imports only when it needs it would be its own instead of shared, and late.
PRELOADED = (
    blobs,
    bridge,
    choice,
    config,
    cpu,
    delete,
    devices_v1,
    ending,
    exec_monitor,
    health,
    image_root,
    image_settings,
    init,
    kill,
    leases,
    limits,
    linux,
    memory,
    mount_entries,
    mount_points,
    mounting,
    mounts,
    name_keeper,
    name_resolution,
    namespaces,
    networking,
    orphans,
    overlay,
    pids,
    platform,
    port_keeper,
    publishing,
    reference,
    resources,
    restarting,
    seccomp,
    security_options,
    stage,
    usage,
)

SOCKET_NAME = "launcher.sock"
_LOCK_NAME = "launcher.lock"

#: Seconds after its last request and its last monitor that a launcher stays.
IDLE = 60
#: What comes through the pipe of news: the word of a starter or of who carries out a command, or the numbers of signals.
_USED = b"\0"
_COMMANDED = b"\xff"
_CHILD_ENDED = bytes((_signal.SIGCHLD,))
_ENDINGS = (bytes((_signal.SIGTERM,)), bytes((_signal.SIGINT,)))
_NEWS = 512
#: Milliseconds between looks whether the launcher in whose place we are has gone, and how often.
_PAUSE = 20
_LOOKS = 50


def main(root: str, run_root: str, first: int, listen: bool, commands: Commands | None = None) -> int:
    """Be the launcher, or with ``listen`` false only serve the connected socket ``first`` (-1: none)."""
    prctl.set_name("orlop-launcher")
    os.umask(0o022)
    location = Location(root, run_root, rootless=os.geteuid() != 0)
    launcher = Launcher(location, commands)
    # All that is done once comes before the first fork: a page that we write to afterwards is one that the first monitor keeps.
    own_cgroup.enter("launcher")
    monitor.rehearse(launcher.filters)
    rehearsal.rehearse(launcher.filters)
    gc.disable()  # a collection in a monitor would write to every page that it shares with us
    gc.collect()
    gc.freeze()
    fresh_memory.begin()
    is_at_door = listen and launcher.listen()
    if first >= 0:
        client = _socket.socket(fileno=first)
        launcher.fork(lambda: launcher.reception.receive(client))
        client.close()
    if is_at_door or (listen and launcher.listen(_LOOKS)):
        launcher.run()
    own_cgroup.leave()
    return 0


class Launcher:
    """The launcher's loop.

    ``_spare`` is the monitor that is ready for the next caller. Through one pipe, ``_news``, comes all that concerns us:
    `_USED` from the spare's starter when a caller came, and the numbers of signals. The pipe ``_alive`` ends
    for the starter when we do. ``_command`` is the child that waits for the next command, which says `_COMMANDED`.
    """

    __slots__ = (
        "_alive",
        "_children",
        "_command",
        "_commands",
        "_doors",
        "_location",
        "_lock",
        "_news",
        "_not_for_monitors",
        "_spare",
        "_unread",
        "filters",
        "reception",
    )

    def __init__(self, location: Location, commands: Commands | None) -> None:
        self._location = location
        self._commands = commands
        self._doors: list[Door] = []
        self._lock = -1
        self._children: set[int] = set()
        self._spare = 0
        self._command = 0
        self.filters = filters.kept(location)
        filters.warm(self.filters)
        self.reception = reception.Reception()
        self._alive = os.pipe2(os.O_CLOEXEC)
        self._news = os.pipe2(os.O_CLOEXEC)
        self._unread = b""
        os.set_blocking(self._news[1], False)
        monitor.ignore_endings()
        for number in (_signal.SIGCHLD, _signal.SIGALRM):
            _signal.signal(number, _note)
        _signal.set_wakeup_fd(self._news[1], warn_on_full_buffer=False)
        self._not_for_monitors: tuple[int, ...] = (self._news[1], self._alive[0])

    def listen(self, looks: int = 1) -> bool:
        """Open the socket for callers; False if another launcher has it and keeps it, for as many looks."""
        directory = os.open(self._location.run_root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            name = f"/proc/self/fd/{directory}"  # a socket's own path may have 107 bytes only
            self._lock = os.open(f"{name}/{_LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not self._take_place(looks):
                os.close(self._lock)
                return False
            self._doors = [Door(f"{name}/{each}") for each in self._names()]
            self._not_for_monitors += (self._lock, *(door.descriptor for door in self._doors))
        finally:
            os.close(directory)
        return True

    def _names(self) -> tuple[str, ...]:
        return (SOCKET_NAME, self._commands.name) if self._commands else (SOCKET_NAME,)

    def _take_place(self, looks: int) -> bool:
        for look in range(looks):
            if look:
                select.poll().poll(_PAUSE)  # an outdated one may be about to go
            try:
                # Not flock: children inherit that, and a monitor is to outlive us without standing in for us.
                fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                continue
            return True
        return False

    def run(self) -> None:
        """Serve until idle for `IDLE` seconds, told to end, or outdated; whoever has connected by then too."""
        self._spare = self.fork(self._accept)
        self._command = self._fork_command()
        _signal.alarm(IDLE)
        while self._spare and (self._command or not self._commands):
            word = self._next_word()
            if word == _USED:
                self._spare = self.fork(self._accept)
            elif word == _COMMANDED:
                self._command = self._fork_command()
            elif word == _CHILD_ENDED:
                if self._reap():
                    break
            elif word in _ENDINGS or self._is_idle():
                break
        self._retire()

    def _next_word(self) -> bytes:
        if not self._unread:
            self._unread = os.read(self._news[0], _NEWS)
        word, self._unread = self._unread[:1], self._unread[1:]
        return word

    def _has_come(self, word: bytes) -> bool:
        """Whether a word is among the news that are still to be looked at."""
        poll = select.poll()
        poll.register(self._news[0], select.POLLIN)
        if poll.poll(0):
            self._unread += os.read(self._news[0], _NEWS)
        return word in self._unread

    def _retire(self) -> None:
        for name in self._names():
            try:
                os.unlink(f"{self._location.run_root}/{name}")
            except FileNotFoundError:
                continue  # the run directory was taken away under us
        os.close(self._lock)
        os.close(self._alive[1])
        while self._spare:  # it goes when nobody waits at the door any more
            word = self._next_word()
            if word == _USED:
                self._spare = self.fork(self._accept)
            elif word == _CHILD_ENDED:
                self._reap()

    def _is_idle(self) -> bool:
        """Whether there is no container any more; called `IDLE` seconds after the last news."""
        _signal.alarm(IDLE)
        return len(self._children) <= len(self._doors)

    def _reap(self) -> bool:
        """Take note of monitors that ended; True if it is time for us to end too."""
        _signal.alarm(IDLE)
        ending = False
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            self._children.discard(pid)
            # Whoever was used said so before it ended. Without a word it was killed, or nobody is left to serve.
            if pid == self._spare and not self._has_come(_USED):
                self._spare = 0
            elif pid == self._command and not self._has_come(_COMMANDED):
                self._command = 0
            if os.waitstatus_to_exitcode(status) == birth.OUTDATED:
                ending = True
        return ending

    def _accept(self) -> birth.Call:
        """Wait for a caller. This runs in a starter.

        Raises:
            NoCall: the launcher has ended, or the caller is not served.
        """
        connection = self._doors[0].wait(self._alive[0])
        if connection is None:
            raise birth.NoCall(birth.CLOSED)
        os.write(self._news[1], _USED)
        self._let_go()
        return self.reception.receive(connection)

    def _serve_command(self, commands: Commands) -> int:
        monitor.set_name("orlop-command")
        connection = self._doors[1].wait(self._alive[0])
        if connection is None:
            return birth.CLOSED
        os.write(self._news[1], _COMMANDED)
        self._let_go()
        return commands.serve(connection, self.reception.has_changed_at_last)

    def _fork_command(self) -> int:
        """Fork a child that waits for a command; returns its pid, 0 if there is none."""
        commands = self._commands
        return self._fork(self._serve_command, commands) if commands else 0

    def fork(self, receive: Callable[[], birth.Call]) -> int:
        """Fork a monitor; ``receive`` waits for its call. Returns its pid, 0 if there can be no process more."""
        return self._fork(monitor.run, receive, self.filters, self._let_go_of_all)

    def _fork(self, live: Callable[..., int], *arguments: Any) -> int:
        try:
            pid = os.fork()
        except OSError:
            return 0
        if pid:
            self._children.add(pid)
            return pid
        status = birth.FAILED
        try:
            # The handlers stay: they do nothing, so that what ends sessions does not end containers.
            _signal.set_wakeup_fd(-1)
            for descriptor in (self._news[0], self._alive[1]):
                os.close(descriptor)
            status = live(*arguments)
        finally:
            os._exit(status)

    def _let_go(self) -> None:
        """Close what belongs to waiting for a caller: a monitor must not look like a launcher."""
        for descriptor in self._not_for_monitors:  # by number: each object that is touched is a page of their own
            os.close(descriptor)

    def _let_go_of_all(self) -> None:
        """Close also what is needed to answer a caller."""
        self._let_go()
        if self.reception.watch >= 0:
            os.close(self.reception.watch)


def _note(_number: int, _frame: object) -> None:
    """Being called is enough: the signal's number is in the wake-up pipe."""
