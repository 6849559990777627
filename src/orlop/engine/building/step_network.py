"""The network of one step: the same as a container's, for as long as the step's program runs.

A step has no monitor. So the process that runs it holds the monitor's lock, by which networks know what runs, and the sockets
at which the step asks for names.
"""

from __future__ import annotations

import os

from orlop import json_text
from orlop.engine import monitor_lock, network_mode
from orlop.engine.container import Container
from orlop.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    from collections.abc import Callable

    from orlop.engine.location import Location
    from orlop.engine.name_keeper import Keeper
    from orlop.engine.networking import Connection
    from orlop.engine.settings import Settings


class StepNetwork:
    """The network of a step with these settings; `close` ends it. ``directory`` has the files that tell of it.

    Raises:
        NotFound: there is no such network.
        InvalidArgument, Unsupported: the step cannot be on it.
    """

    __slots__ = ("_connection", "_identifier", "_keeper", "_location", "_lock")

    def __init__(self, location: Location, settings: Settings, identifier: str, directory: str) -> None:
        self._location = location
        self._identifier = identifier
        self._connection: Connection | None = None
        self._keeper: Keeper | None = None
        self._lock = -1
        settings.network = network_mode.chosen(settings.network, rootless=location.rootless)
        if not network_mode.is_connected(settings.network):
            return
        from orlop.engine import networking

        networking.check(location, settings)
        target = Container(location, identifier, {**settings.record(), "Id": identifier, "Name": identifier})
        target.directory = directory
        lock = monitor_lock.take(location, identifier)
        if lock is None:
            raise Conflict(f"the step {identifier} is running already")
        self._lock = lock
        self._connection = networking.Connection(target)

    @property
    def connect(self) -> Callable[[int], None] | None:
        """What the runtime calls when the step has its namespaces (`orlop.runtime.request.Request`)."""
        return self._connection.make if self._connection is not None else None

    def begin(self) -> None:
        """The step's container is made: serve it names."""
        if self._connection is None or not self._connection.name_ends:
            return
        from orlop.engine.name_keeper import Keeper

        location = self._location
        told = {
            "root": location.root,
            "run_root": location.run_root,
            "rootless": location.rootless,
            "id": self._identifier,
        }
        self._keeper = Keeper(json_text.dumps(told).encode(), self._connection.name_ends)

    def register(self, poll: select.poll) -> float | None:
        """Have ``poll`` tell when something is asked; in how many milliseconds it is to return at the latest."""
        return self._keeper.register(poll) if self._keeper is not None else None

    def look(self, ready: set[int]) -> None:
        """Have what is asked answered."""
        if self._keeper is not None:
            self._keeper.look(ready)

    def close(self) -> None:
        """The step is over."""
        if self._connection is None:
            return
        if self._keeper is not None:
            self._keeper.close()
        else:
            for each in self._connection.name_ends:
                os.close(each)
        from orlop.engine import networking

        networking.release(self._location, self._identifier)
        monitor_lock.drop(self._location, self._identifier, self._lock)


def linger(location: Location) -> None:
    """Have somebody take the networks down that nothing is on any more, after a while."""
    from orlop.engine import background, networking

    if os.path.isdir(f"{location.run_root}/networks"):
        background.run("orlop-network", lambda: networking.linger(location))
