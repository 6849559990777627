"""The monitor's part in a container's names: it holds the sockets at which the container asks, and has the resolver come."""

from __future__ import annotations

import _socket
import os
import select
import sys
import time

from orlop import json_text
from orlop.engine import birth, frames
from orlop.engine.summon import Summons

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.engine.client_line import Line
    from orlop.engine.container import Container
    from orlop.engine.pump import Pump

#: The name of the process that answers.
RESOLVER = "names"
_LIVE = "orlop.engine.resolver:live"
_MOMENT = 0.3  # seconds


class Keeper:
    """An errand of the pump. ``ends`` are the sockets, for UDP and for TCP; ``told`` is the monitor's request.

    A container that asks nothing needs no resolver. But one that lives for longer than a moment is going to, or to be asked
    for: if it ``is_first``, so that there is no resolver yet, it has one started, which takes longer than any answer.
    """

    __slots__ = ("_ends", "_settled", "_summons", "_told")

    def __init__(self, told: bytes, ends: Sequence[int], *, is_first: bool = False) -> None:
        self._told = told
        self._ends = ends
        #: What has the resolver come; made when that is needed, so that an idle monitor has fewer pages of its own.
        self._summons: Summons | None = None
        #: When the container has lived for a moment, by the monotonic clock; 0 if that does not matter.
        self._settled = time.monotonic() + _MOMENT if is_first else 0.0

    @classmethod
    def of(cls, born: birth.Born) -> Keeper:
        """That of a container that was born."""
        ends = [born.ends.pop(name) for name in (birth.NAMES, birth.NAMES_TCP)]
        return cls(born.data, ends, is_first=bool(born.flags & birth.LACKS_RESOLVER))

    @property
    def has_called(self) -> bool:
        """Whether the resolver knows of the container."""
        return self._summons is not None and self._summons.is_at_work

    def register(self, poll: select.poll) -> float | None:
        """Have ``poll`` tell when something is asked."""
        if self._summons is not None:
            return self._summons.register(poll)
        for each in self._ends:
            poll.register(each, select.POLLIN)
        return max(0.0, self._settled - time.monotonic()) * 1000 if self._settled else None

    def look(self, descriptors: set[int]) -> None:
        """Have the resolver come if something is."""
        if self._summons is not None:
            self._summons.look(descriptors)
        elif not descriptors.isdisjoint(self._ends) or (self._settled and time.monotonic() >= self._settled):
            request = json_text.loads(self._told)
            message = {
                "root": request["root"],
                "rootless": request["rootless"],
                "container": request["id"],
                "servers": request.get("dns") or [],
            }
            said = json_text.dumps(message).encode()
            self._summons = Summons(request["run_root"], RESOLVER, _LIVE, self._ends, said, self._ends)
            self._summons.call()

    def close(self) -> None:
        """Nothing will be asked any more."""
        if self._summons is not None:
            self._summons.close()
        for each in self._ends:
            os.close(each)


def lacks_resolver(run_root: str) -> bool:
    """Whether an engine has no resolver, as far as can be seen."""
    return not os.path.exists(f"{run_root}/{RESOLVER}.sock")


def answer(pump: Pump, line: Line) -> None:
    """Do what a client wants that has sent `frames.NAMES`."""
    is_there = any(isinstance(each, Keeper) for each in pump.errands)
    if len(line.passed) == 2 and not is_there and pump.born is not None:
        ends, line.passed = line.passed, ()
        pump.errands.append(Keeper(pump.born.data, ends))
        is_there = True
    line.send(frames.NAMES, b"1" if is_there else b"")


def provide(target: Container, namespace: int) -> None:
    """Give a running container sockets to ask for names at, in its network namespace, if it has none yet.

    That is one that came to its first network while it runs.

    Raises:
        OSError: they cannot be opened.
    """
    from orlop.engine import control_socket, network_home
    from orlop.network.names import sockets

    client = control_socket.connect(target.location, target.id)
    if client is None:
        return  # it has just ended
    ends: Sequence[int] = ()
    try:
        client.send(frames.NAMES, _socket.MSG_NOSIGNAL)
        if _hear(client) != frames.NAMES:
            return  # it has them, or has just ended
        _, ends = network_home.call(target.location, lambda: (None, sockets.open_in(namespace)))
        packed = b"".join(each.to_bytes(4, sys.byteorder) for each in ends)
        client.sendmsg([frames.NAMES], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)], _socket.MSG_NOSIGNAL)
        _hear(client)
    except ConnectionError:
        return  # it has just ended
    finally:
        client.close()
        for each in ends:
            os.close(each)


def _hear(client: _socket.socket) -> bytes:
    while (frame := client.recv(frames.LARGEST + 1)) and frame[:1] != frames.NAMES:
        pass  # it heard of an end first
    return frame
