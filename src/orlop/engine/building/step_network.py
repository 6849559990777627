"""The network of one step: the same as a container's, for as long as the step's program runs.

A step has no monitor. So the process that runs it holds the monitor's lock, by which networks know what runs, and the sockets
at which the step asks for names.
"""

from __future__ import annotations

import os

from orlop import json_text
from orlop.engine import child, monitor_lock, network_files, network_mode
from orlop.engine.container import Container
from orlop.errors import Conflict, OrlopError, Unsupported
from orlop.linux import link
from orlop.linux import namespace as namespaces
from orlop.network.names import sockets
from orlop.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    from typing import Any

    from orlop.engine.location import Location
    from orlop.engine.name_keeper import Keeper
    from orlop.engine.settings import Settings
    from orlop.engine.user_network import Attachment


_PASSED = 3


class StepNetwork:
    """The network of a step with these settings; `close` ends it. ``directory`` has the files that tell of it.

    Raises:
        NotFound: there is no such network.
        InvalidArgument, Unsupported: the step cannot be on it.
    """

    __slots__ = ("_attachment", "_identifier", "_keeper", "_location", "_lock", "_names", "_target")

    def __init__(self, location: Location, settings: Settings, identifier: str, directory: str) -> None:
        self._location = location
        self._identifier = identifier
        self._attachment: Attachment | None = None
        self._target: Container | None = None
        self._names: tuple[int, ...] = ()
        self._keeper: Keeper | None = None
        self._lock = -1
        settings.network = network_mode.chosen(settings.network, rootless=location.rootless)
        if location.rootless and settings.network == "bridge":
            # The step is in the build's user namespace, not in one below that of the networks.
            settings.network = network_mode.able() or "none"
        if not network_mode.is_connected(settings.network):
            return
        from orlop.engine import networking

        networking.check(location, settings)
        if location.rootless and settings.network not in network_mode.USERS:
            raise Unsupported(
                f"--network {settings.network}: an ordinary user's builds have the default network, none, or the host's"
            )
        target = Container(location, identifier, {**settings.record(), "Id": identifier, "Name": identifier})
        target.directory = directory
        lock = monitor_lock.take(location, identifier)
        if lock is None:
            raise Conflict(f"the step {identifier} is running already")
        self._lock = lock
        self._target = target
        if location.rootless:
            from orlop.engine import user_network

            self._attachment = user_network.attachment(location, identifier, settings.network)

    def prepare(self, config: dict[str, Any]) -> None:
        """Have the step's configuration name a namespace that is there already, and connected, where that has to be.

        An ordinary user's step is in the build's user namespace, where nobody may look into its first process.

        Raises:
            OrlopError: there can be none.
        """
        if self._attachment is None:
            return
        namespace, *ends = _new_namespace()
        self._names = tuple(ends)
        self._attachment.namespaces = [namespace]
        self._attachment.begin()
        own = next(each for each in config["linux"]["namespaces"] if each["type"] == "network")
        own["path"] = f"/proc/self/fd/{namespace}"

    def connect(self, pid: int) -> None:
        """What the runtime calls when the step has its namespaces (`orlop.runtime.request.Request`)."""
        if self._attachment is None and self._target is not None:
            from orlop.engine import networking

            connection = networking.Connection(self._target)
            connection.make(pid)
            self._names = connection.name_ends

    def begin(self) -> None:
        """The step's container is made: serve it names."""
        if self._attachment is not None and self._target is not None:
            self._attachment.finish()
            self._attachment.close()
            network_files.at_start(self._target.directory, self._target.record, (), ())
        if not self._names:
            return
        from orlop.engine.name_keeper import Keeper

        location = self._location
        told = {
            "root": location.root,
            "run_root": location.run_root,
            "rootless": location.rootless,
            "id": self._identifier,
        }
        self._keeper = Keeper(json_text.dumps(told).encode(), self._names)

    def register(self, poll: select.poll) -> float | None:
        """Have ``poll`` tell when something is asked; in how many milliseconds it is to return at the latest."""
        return self._keeper.register(poll) if self._keeper is not None else None

    def look(self, ready: set[int]) -> None:
        """Have what is asked answered."""
        if self._keeper is not None:
            self._keeper.look(ready)

    def close(self) -> None:
        """The step is over."""
        if self._target is None:
            return
        if self._keeper is not None:
            self._keeper.close()
        else:
            for each in self._names:
                os.close(each)
        if self._attachment is not None:
            from orlop.engine import user_network

            self._attachment.close()
            user_network.release(self._location, self._identifier)
        else:
            from orlop.engine import networking

            networking.release(self._location, self._identifier)
        monitor_lock.drop(self._location, self._identifier, self._lock)


def linger(location: Location) -> None:
    """Have somebody take the networks down that nothing is on any more, after a while."""
    from orlop.engine import background, networking

    if os.path.isdir(f"{location.run_root}/networks"):
        background.run("orlop-network", lambda: networking.linger(location))


def _new_namespace() -> list[int]:
    """A descriptor of a new network namespace below the caller's user namespace, and of the sockets for names there."""
    ours, theirs = channels.pair()

    def act() -> None:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        link.set_up("lo")
        own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        theirs.send("namespace", descriptors=(own, *sockets.open_here()))

    try:
        child.run(act)
        answer = ours.receive()
    finally:
        ours.close()
        theirs.close()
    if answer is None or len(answer[1]) != _PASSED:
        raise OrlopError("the step's network namespace could not be passed on: too many descriptors are open")
    return answer[1]
