"""The monitor's part in a container's names: it holds the sockets at which the container asks, and has the resolver come."""

from __future__ import annotations

import os

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


class Keeper:
    """An errand of the pump. ``ends`` are the sockets, for UDP and for TCP; ``told`` is the monitor's request."""

    __slots__ = ("_ends", "_summons")

    def __init__(self, told: bytes, ends: Sequence[int]) -> None:
        self._ends = ends
        request = json_text.loads(told)
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
        return self._summons.register(poll)

    def look(self, descriptors: set[int]) -> None:
        """Have the resolver come if something is."""
        self._summons.look(descriptors)

    def close(self) -> None:
        """Nothing will be asked any more."""
        self._summons.close()
        for each in self._ends:
            os.close(each)
