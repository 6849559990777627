"""The monitor's part in a container's ports: it holds the claims on them, and has the proxy come where that is needed."""

from __future__ import annotations

import os

from orlop import json_text
from orlop.engine import birth, frames
from orlop.engine.location import Location
from orlop.engine.summon import Summons
from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    from collections.abc import Sequence

    from orlop.engine.client_line import Line
    from orlop.engine.pump import Pump

#: The name of the process that serves what the kernel cannot forward.
PROXY = "ports"
#: Milliseconds that the proxy has to give the ports back, before somebody else may want them.
_PATIENCE = 1000
_LIVE = "orlop.engine.port_proxy:live"


class Keeper:
    """An errand of the pump. ``held`` are what holds the claims and, if the proxy serves some, what tells that it has work."""

    __slots__ = ("_container", "_location", "_summons", "held")

    def __init__(self, born: birth.Born) -> None:
        told = json_text.loads(born.data)
        self._location = Location(told["root"], told["run_root"], rootless=told["rootless"])
        self._container = told["id"]
        message = json_text.dumps([told["root"], told["run_root"], told["id"]]).encode()
        self.held = tuple(born.ends.pop(name) for name in (birth.PORTS, birth.PORTS_WATCHED) if name in born.ends)
        self._summons = Summons(told["run_root"], PROXY, _LIVE, self.held[1:], message, self.held[:1])

    def register(self, poll: select.poll) -> float | None:
        """Have ``poll`` tell when the proxy is needed."""
        return self._summons.register(poll)

    def look(self, descriptors: set[int]) -> None:
        """Have the proxy come if it is."""
        self._summons.look(descriptors)

    def replace(self, held: Sequence[int]) -> None:
        """Hold other claims. What is in both sets is never let go of."""
        before, self.held = self.held, tuple(held)
        self._summons.replace(self.held[1:], self.held[:1])
        for each in before:
            os.close(each)

    def close(self) -> None:
        """Let go of the claims, and of the proxy: the container's program has ended."""
        from orlop.engine import publishing

        try:
            publishing.close(self._location, self._container)
        except (OSError, OrlopError):
            pass  # whoever clears away after the container tries again
        self._summons.close(_PATIENCE)
        for each in self.held:
            os.close(each)
        self.held = ()


def answer(pump: Pump, line: Line) -> None:
    """Do what a client wants that has sent `frames.PORTS`."""
    keeper = next((each for each in pump.errands if isinstance(each, Keeper)), None)
    if not line.passed:
        line.send_descriptors(frames.PORTS, keeper.held[:1] if keeper is not None else ())
        return
    passed, line.passed = line.passed, ()
    if keeper is None and pump.born is not None:
        keeper = Keeper(pump.born)
        pump.errands.append(keeper)
    if keeper is not None:
        keeper.replace(passed)
        line.send(frames.PORTS)
