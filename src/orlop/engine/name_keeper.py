"""The monitor's part in a container's names: it holds the sockets at which the container asks, and has the resolver come."""

from __future__ import annotations

import os
import time

from orlop import json_text
from orlop.engine import birth
from orlop.engine.summon import Summons

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    from collections.abc import Sequence

#: The name of the process that answers.
RESOLVER = "names"
_LIVE = "orlop.engine.resolver:live"
_MOMENT = 0.3  # seconds


class Keeper:
    """An errand of the pump. ``ends`` are the sockets, for UDP and for TCP; ``told`` is the monitor's request.

    A container that asks nothing needs no resolver. But one that lives for longer than a moment is going to, or to be asked
    for: it has the resolver started if there is none, which takes longer than any answer.
    """

    __slots__ = ("_ends", "_settled", "_socket", "_summons")

    def __init__(self, told: bytes, ends: Sequence[int]) -> None:
        self._ends = ends
        #: When the container has lived for a moment, by the monotonic clock; 0 from then on.
        self._settled = time.monotonic() + _MOMENT
        request = json_text.loads(told)
        self._socket = f"{request['run_root']}/{RESOLVER}.sock"
        message = {
            "root": request["root"],
            "rootless": request["rootless"],
            "container": request["id"],
            "servers": request.get("dns") or [],
        }
        self._summons = Summons(request["run_root"], RESOLVER, _LIVE, ends, json_text.dumps(message).encode(), ends)

    @classmethod
    def of(cls, born: birth.Born) -> Keeper:
        """That of a container that was born."""
        return cls(born.data, [born.ends.pop(name) for name in (birth.NAMES, birth.NAMES_TCP)])

    def register(self, poll: select.poll) -> float | None:
        """Have ``poll`` tell when something is asked."""
        due = self._summons.register(poll)
        if due is None and self._settled:
            due = max(0.0, self._settled - time.monotonic()) * 1000
        return due

    def look(self, descriptors: set[int]) -> None:
        """Have the resolver come if something is."""
        self._summons.look(descriptors)
        if self._settled and time.monotonic() >= self._settled:
            self._settled = 0.0
            if not os.path.exists(self._socket):
                self._summons.call()

    def close(self) -> None:
        """Nothing will be asked any more."""
        self._summons.close()
        for each in self._ends:
            os.close(each)
