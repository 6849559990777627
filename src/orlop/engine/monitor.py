"""One container's monitor: the parent of its init until the last cleaning.

It holds the container's standard streams, writes the log, serves the client that started the container and all that
come later, records how it ended, starts it again where that is wanted, and clears away after it (see `ending`). It
depends on nothing else to stay alive, and it is small: forked from a launcher that has everything loaded, it keeps its
hands off what it shares with it, and leaves to a child what touches much (see `birth`).

What this module imports is what an idle monitor uses. The launcher imports it first, so that it lies together.
"""

from __future__ import annotations

import _signal
import _socket
import os

from orlop.engine import birth
from orlop.engine.client_line import Line
from orlop.engine.clients import Clients
from orlop.engine.log_file import LogFile
from orlop.engine.pump import Pump
from orlop.linux import prctl

#: As often as it takes the interpreter to settle on how to run a function.
_REHEARSALS = 16

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orlop.engine.pump import Log, Start
    from orlop.linux.seccomp.cache import Cache


def run(receive: Callable[[], birth.Call], filters: Cache, let_go: Callable[[], None]) -> int:
    """Wait for a call, and be the monitor of the container that it starts, until that has ended.

    ``receive`` waits for the call, in a child (see `starter`); ``let_go`` closes here what only the child needs for
    that. The caller has seen to `ignore_endings`.

    Returns:
        `birth.STARTED`, or why there was no container.
    """
    prctl.set_subreaper(is_one=True)
    start = birth.Starter(receive, filters)
    let_go()
    born = start.wait_born()
    if born is None:
        return start.wait_done()
    set_name("orlop-monitor")
    clients, lock = _take_over(born)
    code = _accompany(start, born, clients, filters)
    from orlop.engine import ending

    ending.finish(born, lock, clients, filters, code, _accompany)
    return birth.FAILED if code is None else birth.STARTED


def _take_over(born: birth.Born) -> tuple[Clients, int]:
    """What outlives the container's program: the clients, and the lock."""
    client = Line(_socket.socket(fileno=born.ends.pop("client")))
    return Clients(client, born.ends.pop("control")), born.ends.pop("lock")


def _accompany(start: Start, born: birth.Born, clients: Clients, filters: Cache) -> int | None:
    """Be with the container until its program has ended; its exit code, or None if it was never executed."""
    pidfd = born.ends.pop("pidfd")
    pump = Pump(clients, _log(born), born.ends, born.pid, once=bool(born.flags & birth.ENDS_INPUT), start=start)
    if born.flags & birth.GETS_ORPHANS:
        from orlop.engine import orphans

        orphans.reap_from_now_on(born.pid)
    if born.flags & birth.IS_LEASHED:
        pump.leash = clients.lines[0]
    pump.born = born
    if born.flags & birth.IS_CHECKED:
        from orlop.engine import ending

        pump.errands.append(ending.checks(born.data, filters))
    if birth.PORTS in born.ends:
        from orlop.engine import port_keeper

        pump.errands.append(port_keeper.Keeper(born))
    if birth.NAMES in born.ends:
        from orlop.engine import name_keeper

        pump.errands.append(name_keeper.Keeper.of(born))
    pump.run(pidfd)
    for errand in pump.errands:
        errand.close()
    # Only with the starter's end is the init our child, for us to wait for.
    pump.end_start()
    if pump.outcome == birth.KILLED:
        born.error = "the process that was starting the container was killed"
    was_executed = pump.outcome != birth.FAILED
    code = os.waitstatus_to_exitcode(os.waitpid(born.pid, 0)[1]) if was_executed else 0
    os.close(pidfd)
    pump.drain()
    if not was_executed:
        return None
    return 128 - code if code < 0 else code


def _log(born: birth.Born) -> Log:
    def about() -> tuple[str, Mapping[str, str], str]:
        from orlop.engine import ending

        return ending.about_log(born.data)

    if "log" in born.ends:
        return LogFile(born.ends.pop("log"), about)
    from orlop.engine import ending

    return ending.other_log(born.data)


def rehearse(filters: Cache) -> None:
    """Go through the motions of a monitor, so that what the interpreter remembers of them is shared by all."""
    for _ in range(_REHEARSALS):
        _rehearse(filters)


def _rehearse(filters: Cache) -> None:
    """A monitor's life with a client who goes, whereby its container's input ends, whereby the container does."""
    (pidfd, *theirs), ends = birth.pipes(open_stdin=True)
    ours, there = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    client, gone = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    start, starters = os.pipe2(os.O_CLOEXEC)
    ends.update(pidfd=pidfd, log=pidfd, client=client.fileno(), control=there.fileno(), lock=pidfd)
    ends.update(names=pidfd, names_tcp=pidfd)
    birth.tell(there, 0, "", birth.ENDS_INPUT, ends, b"")
    born = birth.receive(ours)
    for descriptor in {starters, *ends.values()} - {there.fileno(), client.fileno()}:
        os.close(descriptor)
    client.close()
    gone.close()
    if born is not None:
        set_name("orlop-launcher")
        prctl.set_subreaper(is_one=False)
        clients, lock = _take_over(born)
        _accompany(_Nobody(start), born, clients, filters)
        clients.finish(b"")
        os.close(lock)
    for descriptor in theirs:
        os.close(descriptor)
    ours.close()
    there.close()


class _Nobody:
    """Who starts what is rehearsed with."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def wait_done(self) -> int:
        """Nothing was executed."""
        os.close(self.descriptor)
        return birth.FAILED


def set_name(name: str) -> None:
    """What ps(1) shows; by a file, which touches less of our memory than a call through `_ctypes`."""
    descriptor = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(descriptor, name.encode())
    os.close(descriptor)


def ignore_endings() -> None:
    """Not end when a session ends or somebody is logged out: that is not meant to end containers.

    A handler, not SIG_IGN, which the container's program would inherit.
    """
    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT):
        _signal.signal(number, _stay)


def _stay(_number: int, _frame: object) -> None:
    pass
